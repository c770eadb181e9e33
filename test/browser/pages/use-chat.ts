import { type UIMessage, useChat } from "@ai-sdk/react";
import { createElement, StrictMode } from "react";
import { createRoot } from "react-dom/client";

/** What the tests read and do, on `window.chat`. */
export interface TestChat {
  readonly status: string;
  readonly error: string | undefined;
  readonly messages: readonly UIMessage[];
  send(text: string): void;
  stop(): Promise<void>;
}

declare global {
  var chat: TestChat;
}

const api = "/api/chat/c1";

function Chat({ history }: { history: UIMessage[] }) {
  const chat = useChat({ id: "c1", messages: history, resume: true });
  globalThis.chat = {
    status: chat.status,
    error: chat.error?.message,
    messages: chat.messages,
    send: (text) => void chat.sendMessage({ text }),
    // Leaving is not stopping: the run is told.
    stop: async () => {
      await fetch(api, { method: "DELETE" });
    },
  };
  return createElement("p", { id: "status" }, chat.status);
}

const history = (await (await fetch(`${api}/messages`)).json()) as UIMessage[];
const root = createRoot(document.getElementById("root") as HTMLElement);
root.render(createElement(StrictMode, null, createElement(Chat, { history })));
