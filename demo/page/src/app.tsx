import { ChatPanel } from "./chat/chat-panel.tsx";
import { ClockPanel } from "./clock/clock-panel.tsx";
import { NotificationsPanel } from "./notifications/notifications-panel.tsx";
import { RunsPanel } from "./runs/runs-panel.tsx";
import { UploadPanel } from "./upload/upload-panel.tsx";

export function App() {
  return (
    <>
      <header className="masthead">
        <h1>
          <img src="/icon.svg" alt="" width="32" height="32" />
          everstream
        </h1>
        <p>Server-sent events that survive. Five live panels and, beside each, what travels on the wire.</p>
      </header>
      <main>
        <ChatPanel />
        <NotificationsPanel />
        <UploadPanel />
        <RunsPanel />
        <ClockPanel />
      </main>
      <footer className="colophon">
        Cut the network, reload, open a second tab: answers and uploads go on, and no notification is missed.
        Stop the server in mid-answer and start it again: the page says so, and offers to go on. Where there
        are several servers, another one goes on with the answer by itself.
      </footer>
    </>
  );
}
