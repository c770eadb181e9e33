import { Chat as OwnChat, type UIMessage, useChat } from "@ai-sdk/react";
import { DefaultChatTransport } from "ai";
import { createElement, StrictMode } from "react";
import { createRoot } from "react-dom/client";

/** What the tests read and do, on `window.chat`. */
export interface TestChat {
  readonly status: string;
  readonly error: string | undefined;
  readonly messages: readonly UIMessage[];
  send(text: string): void;
  stop(): Promise<void>;
  resume(): void;
}

declare global {
  var chat: TestChat;
}

const api = "/api/chat/c1";

function Chat({ history, own }: { history: UIMessage[]; own: OwnChat<UIMessage> | undefined }) {
  const chat = useChat({
    ...(own === undefined ? { id: "c1", messages: history } : { chat: own }),
    resume: true,
  });
  globalThis.chat = {
    status: chat.status,
    error: chat.error?.message,
    messages: chat.messages,
    send: (text) => void chat.sendMessage({ text }),
    // Leaving is not stopping: the run is told.
    stop: async () => {
      await fetch(api, { method: "DELETE" });
    },
    resume: () => void chat.resumeStream(),
  };
  return createElement("p", { id: "status" }, chat.status);
}

const history = (await (await fetch(`${api}/messages`)).json()) as UIMessage[];
// The hook's own chat does not tell its transport's nature, so that it can't go on in the page that it was cut in.
const own =
  location.search === "?own"
    ? new OwnChat<UIMessage>({ id: "c1", messages: history, transport: new DefaultChatTransport() })
    : undefined;
const root = createRoot(document.getElementById("root") as HTMLElement);
root.render(createElement(StrictMode, null, createElement(Chat, { history, own })));
