import { type FormEvent, useId, useState } from "react";
import { Connection } from "../ui/connection.tsx";
import { Panel } from "../ui/panel.tsx";
import { useOnScreen } from "../ui/use-on-screen.ts";
import { Wire } from "../ui/wire.tsx";
import { createWireLog, type WireLog } from "../ui/wire-log.ts";
import { type Notice, type NoticeType, TYPES, useInbox } from "./use-inbox.ts";

const USERS = ["Ada", "Grace"];

export function NotificationsPanel() {
  const [logs] = useState(() => USERS.map((user) => ({ user, log: createWireLog() })));
  const { place, onScreen } = useOnScreen<HTMLElement>();
  return (
    <Panel
      place={place}
      title="Notifications"
      lead="Two users, a topic each. Who was away gets what was missed, once."
      routes={["GET, POST /api/notifications"]}
      wire={logs.map(({ user, log }) => <Wire key={user} log={log} label={`On ${user}'s wire`} />)}
    >
      <div className="inboxes">
        {logs.map(({ user, log }) => (
          <InboxView key={user} user={user} log={log} enabled={onScreen} />
        ))}
      </div>
    </Panel>
  );
}

function InboxView({ user, log, enabled }: { user: string; log: WireLog; enabled: boolean }) {
  const { notices, heartbeats, status, route, refusal, problem, signIn, send } = useInbox(user, log, enabled);
  const heading = useId();
  const isOut = refusal !== undefined || status.state === "failed";
  return (
    <section className="inbox" aria-labelledby={heading}>
      <header>
        <h3 id={heading}>{user}</h3>
        <Connection status={status} path={route} />
      </header>
      <ul aria-live="polite" aria-label={`${user}'s notifications`}>
        {notices.length === 0 && <li className="nothing">No notifications yet.</li>}
        {notices.map((notice) => (
          <NoticeView key={notice.id} notice={notice} />
        ))}
      </ul>
      {problem !== undefined && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      {isOut && (
        <p className="problem" role="alert">
          {refusal ?? status.failure?.message}{" "}
          <button type="button" className="quiet" onClick={signIn}>
            Sign in again
          </button>
        </p>
      )}
      <Composer user={user} onSend={send} />
      <p className="note">
        {heartbeats} {heartbeats === 1 ? "heartbeat" : "heartbeats"} seen
      </p>
    </section>
  );
}

function NoticeView({ notice: { type, text } }: { notice: Notice }) {
  return (
    <li data-type={type}>
      <span className="tag">{type}</span>
      {text}
    </li>
  );
}

interface ComposerProps {
  readonly user: string;
  readonly onSend: (type: NoticeType, text: string) => Promise<boolean>;
}

function Composer({ user, onSend }: ComposerProps) {
  const [type, setType] = useState<NoticeType>("message");
  const [text, setText] = useState("");
  const onSubmit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (text.trim() === "") return;
    setText("");
    // What could not be sent is not to be typed once more.
    if (!(await onSend(type, text.trim()))) setText((typed) => typed || text);
  };
  return (
    <form className="composer" onSubmit={(event) => void onSubmit(event)}>
      <select
        value={type}
        onChange={({ target }) => setType(target.value as NoticeType)}
        aria-label={`Type of the notification for ${user}`}
      >
        {TYPES.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
      <input
        value={text}
        onChange={({ target }) => setText(target.value)}
        placeholder={`Tell ${user} something`}
        aria-label={`Text of the notification for ${user}`}
        maxLength={500}
        autoComplete="off"
        required
      />
      <button type="submit">Send</button>
    </form>
  );
}
