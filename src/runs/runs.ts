import type { Hub, RequestHead } from "../hub/index.ts";
import { assertOptions, assertRequest, type NamesOf } from "../input.ts";
import type { ErrorData } from "../protocol/index.ts";
import { withinOf } from "../session/options.ts";
import { report } from "../session/report.ts";
import { followRequest } from "../session/request.ts";
import { WebSink } from "../session/web-sink.ts";
import { clientErrorOf } from "./client-error.ts";
import { closedError, isLogAway } from "./closed.ts";
import { findRun } from "./find.ts";
import {
  comeBack,
  findToJoin,
  forbidden,
  type JoinOptions,
  missing,
  missingError,
  openRun,
  type RunOpening,
  Watchers,
} from "./join.ts";
import { Keeper } from "./keeper.ts";
import { type Names, namesIn } from "./names.ts";
import {
  assertJoinOptions,
  assertKey,
  assertRunId,
  type RunsOptions,
  type RunsSettings,
  runsSettings,
  startSettings,
} from "./options.ts";
import { type RunRoutes, type RunRoutesOptions, runRoutes } from "./routes.ts";
import type { Runs } from "./runs-interface.ts";
import { holderOf, joined, Starter } from "./starter.ts";
import type { FoundRun, RunInfo, StartedRun, StartOptions } from "./types.ts";

/**
 * Makes runs: answers and jobs whose producers write to the hub's log, so that they outlive connections, reloads and,
 * with `onAbandoned`, processes.
 *
 * ```ts
 * const runs = createRuns({ hub });
 * await runs.start({ id, key: conversation, produce: async (run) => {
 *   for await (const piece of textOf(await model.stream(question, { signal: run.signal }))) await run.text(piece);
 * } });
 * app.get("/runs/:id", (c) => streamRun(c, runs, c.req.param("id")));
 * ```
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function createRuns(options: RunsOptions): Runs {
  return new HubRuns(options);
}

class HubRuns implements Runs {
  readonly #hub: Hub;
  readonly #settings: RunsSettings;
  readonly #names: Names;
  readonly #keeper: Keeper;
  readonly #starter: Starter;
  readonly #watchers: Watchers;
  #closed: Promise<void> | undefined;

  constructor(options: RunsOptions) {
    this.#settings = runsSettings(options);
    this.#hub = options.hub;
    this.#names = namesIn(this.#settings.namespace);
    this.#watchers = new Watchers((id, watched, isAwaited) =>
      this.#keeper.setWatched(id, watched, isAwaited),
    );
    this.#keeper = new Keeper({
      hub: this.#hub,
      names: this.#names,
      settings: this.#settings,
      onAbandoned: options.onAbandoned,
      explain: (error, info) => explain(options.onError, error, info),
      isWatching: () => this.#watchers.size > 0,
    });
    this.#starter = new Starter({
      hub: this.#hub,
      names: this.#names,
      settings: this.#settings,
      keeper: this.#keeper,
    });
  }

  async start(options: StartOptions): Promise<StartedRun> {
    const settings = startSettings(options);
    const { id } = settings;
    this.#assertOpen();
    const found = await findRun(this.#hub, this.#names.topicOf(id), id);
    if (found.kind === "run") return joined(found.info);
    if (found.kind === "expired") throw missingError(id, found);
    return this.#keeper.start(id, () => this.#starter.start(settings));
  }

  async stop(id: string): Promise<void> {
    assertRunId(id);
    this.#assertOpen();
    const local = this.#keeper.local(id);
    if (local !== undefined) return local.stop();
    await this.#keeper.registry.ready();
    if (!this.#keeper.registry.runs.has(id)) {
      const found = await findRun(this.#hub, this.#names.topicOf(id), id);
      // It is over. A run that is in the log and not yet known here is as one that is.
      if (found.kind === "expired" || (found.kind === "run" && found.info.state !== "running")) return;
    }
    await this.#keeper.registry.tell({ type: "stop", data: { id } });
  }

  async get(id: string): Promise<RunInfo | undefined> {
    const found = await this.find(id);
    return found.kind === "run" ? found.info : undefined;
  }

  async ended(id: string, options: { signal?: AbortSignal } = {}): Promise<RunInfo> {
    assertRunId(id);
    assertOptions("options", options, ENDED_NAMES);
    const { signal } = options;
    this.#keeper.registry.assertOpen();
    const topic = this.#names.topicOf(id);
    const events = this.#hub.events(topic, { from: { last: 1 }, ...(signal && { signal }) });
    try {
      const found = await this.find(id);
      if (found.kind !== "run") throw missingError(id, found);
      // The loop ends with the topic; what it reads is of no interest.
      for await (const _ of events);
    } finally {
      await events.return?.();
    }
    signal?.throwIfAborted();
    const now = await findRun(this.#hub, topic, id);
    if (now.kind !== "run") throw missingError(id, now);
    return now.info;
  }

  async running(): Promise<string[]> {
    await this.#keeper.registry.catchUp();
    return [...this.#keeper.registry.runs.keys()];
  }

  async holder(key: string): Promise<string | undefined> {
    assertKey(key);
    const { registry } = this.#keeper;
    await registry.catchUp();
    const record = holderOf(key, registry.runs);
    if (record === undefined) return undefined;
    const found = await this.find(record.id);
    // One that is not in the log yet is about to be.
    return found.kind === "unknown" || (found.kind === "run" && found.info.state === "running")
      ? record.id
      : undefined;
  }

  async open(head: RequestHead, id: string, options: JoinOptions = {}): Promise<RunOpening> {
    assertRunId(id);
    assertJoinOptions(options);
    try {
      return await this.#open(head, id, options);
    } catch (error) {
      if (!isLogAway(error)) throw error;
      return comeBack(head, error);
    }
  }

  async respond(request: Request, id: string, options?: JoinOptions): Promise<Response> {
    assertRequest(request);
    const { method, url, headers } = request;
    const opening = await this.open({ method, url, header: (name) => headers.get(name) }, id, options);
    if (opening.kind === "response") {
      return new Response(opening.body, { status: opening.status, headers: opening.headers });
    }
    const sink = new WebSink(opening.session);
    opening.session.attach(sink);
    followRequest(opening.session, request);
    return new Response(sink.stream, { headers: opening.headers });
  }

  routes(options: RunRoutesOptions): RunRoutes {
    return runRoutes(this, options);
  }

  async close(options?: { within?: number }): Promise<void> {
    const withinMs = withinOf(options);
    this.#closed ??= this.#keeper.close(withinMs);
    await this.#closed;
  }

  async #open(head: RequestHead, id: string, options: JoinOptions): Promise<RunOpening> {
    this.#keeper.registry.assertOpen();
    const topic = this.#names.topicOf(id);
    const found = await findToJoin(this.#hub, topic, id, head, this.#settings.joinWaitMs);
    if (found.kind !== "run") return missing(id, found);
    const { authorize = () => true } = options;
    // A check that forgets to answer has not let anybody in.
    if ((await authorize(found.info)) !== true) return forbidden();
    await this.#keeper.verify(found.info);
    const opening = await openRun(this.#hub, topic, head, options);
    if (opening.kind === "stream" && this.#keeper.countsReaders(id)) this.#watchers.add(id, opening.session);
    return opening;
  }

  async find(id: string): Promise<FoundRun> {
    assertRunId(id);
    this.#keeper.registry.assertOpen();
    const topic = this.#names.topicOf(id);
    const found = await findRun(this.#hub, topic, id);
    if (found.kind !== "run" || found.info.state !== "running") return found;
    await this.#keeper.verify(found.info);
    return this.#keeper.registry.runs.has(id) ? found : findRun(this.#hub, topic, id);
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw closedError();
  }
}

const ENDED_NAMES: NamesOf<{ signal?: AbortSignal }> = { signal: true };

/** What clients are told of an error, as the developer wants it. */
function explain(onError: RunsOptions["onError"], error: unknown, info: RunInfo): ErrorData | undefined {
  if (onError === undefined) {
    report(`The producer of the run ${JSON.stringify(info.id)} failed`, error);
    return clientErrorOf(error);
  }
  try {
    return onError(error, info) ?? clientErrorOf(error);
  } catch (failure) {
    report("`onError` failed", failure);
    return clientErrorOf(error);
  }
}
