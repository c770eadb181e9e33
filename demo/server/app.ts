import { createHub } from "everstream";
import { Hono } from "hono";
import { addAnswers, goesOnElsewhere } from "./chat/answers.ts";
import { createConversations } from "./chat/conversations.ts";
import { DocsAssistant } from "./chat/docs-assistant.ts";
import type { ChatModel } from "./chat/model.ts";
import { addChat } from "./chat/routes.ts";
import { addClock } from "./clock.ts";
import { answerInJson, type DemoEnv, nameNode, refuseOtherMethods, sendElsewhere } from "./http.ts";
import { type DemoLog, logFromEnvironment } from "./log.ts";
import { addNotifications } from "./notifications.ts";
import { refuseOtherSites } from "./other-sites.ts";
import { addPage } from "./page.ts";
import { createWork } from "./runs.ts";
import { createSessions } from "./session.ts";
import { addUploads } from "./uploads/routes.ts";
import { openUploads } from "./uploads/store.ts";

export interface AppOptions {
  /**
   * The folder for all that must survive a restart: uploads, the key that signs sessions, and, by default, events. Made where
   * missing. Servers of one log share it.
   */
  readonly dataDir: string;
  /** Where events live. Default: LMDB in `dataDir`. */
  readonly log?: DemoLog;
  /** This server's name among others, which its answers carry as `X-Node`. */
  readonly node?: string | undefined;
  /** The folder with the built page; without it there is only the API. */
  readonly pageDir?: string;
  /** What answers in the chat. Default: the built-in docs assistant. */
  readonly model?: ChatModel;
  /** The largest upload, in bytes. Default 128 MiB. */
  readonly maxUploadBytes?: number;
  /** How much all uploads may take that are kept, in bytes, compressed forms included. Default 4 GiB. */
  readonly maxStoredBytes?: number;
  /** Intervals in milliseconds: of the clock (1,000), of pings (5,000), of visible heartbeats (30,000). */
  readonly clockMs?: number;
  readonly pingMs?: number;
  readonly heartbeatMs?: number;
}

/** Somebody waits for an answer whose server is gone: sooner than by default, it is taken for that. */
const CLUSTER_LEASE_MS = 5000;

export interface DemoApp {
  readonly app: Hono<DemoEnv>;
  /** Resolves when the log of events is open. Rejects where it can't be, as when another process has it open. */
  readonly ready: Promise<void>;
  /** Ends the streams of the hub and stops background work. From now on, whoever asks for anything is sent elsewhere. */
  close(): Promise<void>;
}

/** The reference application: every route under `/api`, and the page. */
export function createApp(options: AppOptions): DemoApp {
  const { dataDir, maxUploadBytes = 128 * 1024 * 1024, model = new DocsAssistant() } = options;
  const { maxStoredBytes = 4 * 1024 ** 3 } = options;
  const { clockMs = 1000, pingMs = 5000, heartbeatMs = 30_000 } = options;
  const { log, shared } = options.log ?? logFromEnvironment(undefined, dataDir);
  const hub = createHub({ log });
  const conversations = createConversations(hub);
  // Where there are other servers, answers go on there; a server that is alone says that they were cut off.
  const onAbandoned = goesOnElsewhere({ conversations, model });
  const work = createWork(hub, shared ? { lease: CLUSTER_LEASE_MS, onAbandoned } : {});
  const uploads = openUploads(dataDir, maxStoredBytes);
  const sessions = createSessions(dataDir);

  const api = new Hono<DemoEnv>();
  api.get("/healthz", (c) => c.json({ status: "ok" }));
  addClock(api, { clockMs, pingMs });
  sessions.addRoutes(api);
  addNotifications(api, { hub, sessions, heartbeatMs });
  addUploads(api, { uploads, work, maxBytes: maxUploadBytes });
  addChat(api, { model });
  addAnswers(api, { work, conversations, model });
  work.addRoutes(api);
  refuseOtherMethods(api);

  let leaving = false;
  const app = new Hono<DemoEnv>();
  if (options.node !== undefined) nameNode(app, options.node);
  answerInJson(app);
  refuseOtherSites(app);
  sendElsewhere(app, () => leaving);
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.route("/api", api);
  if (options.pageDir !== undefined) addPage(app, options.pageDir);

  const ready = hub.position().then(() => work.watch());
  const close = async (): Promise<void> => {
    leaving = true;
    uploads.close();
    await work.runs.close();
    await hub.close();
  };
  return { app, ready, close };
}
