import { ChatPanel } from "./chat/chat-panel.tsx";
import { ClockPanel } from "./clock/clock-panel.tsx";
import { NotificationsPanel } from "./notifications/notifications-panel.tsx";
import { UploadPanel } from "./upload/upload-panel.tsx";

export function App() {
  return (
    <>
      <header className="masthead">
        <h1>
          <img src="/icon.svg" alt="" width="32" height="32" />
          everstream
        </h1>
        <p>Server-sent events that survive. Four live streams and, beside each, what travels on the wire.</p>
      </header>
      <main>
        <ChatPanel />
        <NotificationsPanel />
        <UploadPanel />
        <ClockPanel />
      </main>
      <footer className="colophon">
        Cut the network: the streams come back, and no notification is missed. Stop the server and start it
        again: the page finds it, and where events are gone with it, the wire says so.
      </footer>
    </>
  );
}
