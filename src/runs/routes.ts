import { invalidOption } from "../errors.ts";
import type { RequestHead } from "../hub/index.ts";
import { assertCallback, assertOptions, assertRequest, type NamesOf } from "../input.ts";
import { EVENT_STREAM_TYPE } from "../protocol/index.ts";
import { followRequest } from "../session/request.ts";
import { WebSink } from "../session/web-sink.ts";
import { type JoinOptions, missing } from "./join.ts";
import { assertJoinOptions, isRunId } from "./options.ts";
import {
  failure,
  json,
  noId,
  notAllowed,
  notYet,
  type RunAnswer,
  refusalOf,
  response,
  stateOf,
} from "./route-answers.ts";
import type { Runs } from "./runs-interface.ts";
import type { RunInfo, StartOptions } from "./types.ts";

/** Options of `runs.routes`, and of the adapters' `runRoutes`. */
export interface RunRoutesOptions {
  /** Where the routes are, with whatever stands before: `/api/runs`. Default: `/runs`. */
  path?: string;
  /**
   * Makes of a request what is to be started, under the id that the client has chosen, or a random one. A `Response` in
   * its place is sent as it is: a refusal, as it may be. Without it, nothing can be started over HTTP.
   */
  start?: (
    request: Request,
    id: string,
  ) => Omit<StartOptions, "id"> | Response | Promise<Omit<StartOptions, "id"> | Response>;
  /**
   * Whether this client may join, see and stop this run. Asked at every opening, also of who starts a run that is there
   * already. A `Response` in place of an answer is sent as it is; `false` becomes 403.
   */
  authorize: (request: Request, run: RunInfo) => boolean | Response | Promise<boolean | Response>;
  /**
   * Whether this client may stop a run that nobody has asked for yet: its start, when it comes, ends as it begins. Answers
   * are as `authorize`'s. Default: whoever knows the id may, which is right where ids are hard to guess, as those are that
   * our clients make.
   */
  authorizeEarlyStop?: (request: Request, id: string) => boolean | Response | Promise<boolean | Response>;
  /** Options of the streams. */
  join?: Omit<JoinOptions, "authorize">;
}

/**
 * Answers the requests below its path, and 404 for all others:
 *
 * - `POST <path>` or `<path>/<id>`: start; an `Idempotency-Key` header is the id. Answers with the run's stream where the
 *   client accepts one, else with its state as JSON.
 * - `GET <path>/<id>`: join, after `Last-Event-ID` where the client has one.
 * - `GET <path>/<id>/state`: the state as JSON.
 * - `DELETE <path>/<id>`: stop.
 */
export type RunRoutes = (request: Request) => Promise<Response>;

/** The routes as a Fetch handler. */
export function runRoutes(runs: Runs, options: RunRoutesOptions): RunRoutes {
  assertRoutesOptions(options);
  return async (request) => {
    const answer = await answerRun(runs, request, options);
    if (answer.kind === "response") return answer.response;
    const sink = new WebSink(answer.session);
    answer.session.attach(sink);
    followRequest(answer.session, request);
    return new Response(sink.stream, { headers: answer.headers });
  };
}

const ROUTES_NAMES: NamesOf<RunRoutesOptions> = {
  path: true,
  start: true,
  authorize: true,
  authorizeEarlyStop: true,
  join: true,
};

/** @throws EverstreamError `INVALID_OPTION`. */
export function assertRoutesOptions(options: RunRoutesOptions): void {
  assertOptions("options", options, ROUTES_NAMES);
  const { path, start, authorize, authorizeEarlyStop, join } = options;
  if (path !== undefined && (typeof path !== "string" || !path.startsWith("/"))) {
    throw invalidOption(`\`path\` must begin with "/", as "/api/runs" does.`);
  }
  if (typeof authorize !== "function") {
    throw invalidOption("`authorize` must be a function that says whether a client may have a run.");
  }
  assertCallback("start", start);
  assertCallback("authorizeEarlyStop", authorizeEarlyStop);
  if (join !== undefined) assertJoinOptions(join);
}

/** Decides on a request. */
export async function answerRun(runs: Runs, request: Request, options: RunRoutesOptions): Promise<RunAnswer> {
  assertRequest(request);
  const { path = "/runs" } = options;
  const target = targetOf(new URL(request.url).pathname, path);
  if (target === undefined) {
    return json(404, {
      error: `The routes of runs begin with "${path}", the option \`path\`.`,
      code: "NOT_FOUND",
    });
  }
  try {
    return await new Exchange(runs, request, options).answer(target);
  } catch (error) {
    return failure(error);
  }
}

interface Target {
  readonly id: string | undefined;
  readonly wantsState: boolean;
}

/** What a path names; `undefined` for none of ours. */
function targetOf(pathname: string, path: string): Target | undefined {
  const base = path.replace(/\/+$/, "");
  if (pathname !== base && !pathname.startsWith(`${base}/`)) return undefined;
  const [encoded = "", last, ...more] = pathname.slice(base.length + 1).split("/");
  if (more.length > 0 || (last !== undefined && last !== "state")) return undefined;
  if (encoded === "") return last === undefined ? { id: undefined, wantsState: false } : undefined;
  return { id: decoded(encoded), wantsState: last === "state" };
}

/** Nothing, which is no run's id, where it can't be decoded. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

class Exchange {
  readonly #runs: Runs;
  readonly #request: Request;
  readonly #options: RunRoutesOptions;

  constructor(runs: Runs, request: Request, options: RunRoutesOptions) {
    this.#runs = runs;
    this.#request = request;
    this.#options = options;
  }

  answer({ id, wantsState }: Target): Promise<RunAnswer> | RunAnswer {
    const { method } = this.#request;
    if (id !== undefined && !isRunId(id)) return noId("What stands in the path");
    if (method === "POST" && !wantsState) return this.#start(id);
    if (id === undefined) return notAllowed("POST");
    if (method === "GET" || method === "HEAD") return wantsState ? this.#state(id) : this.#join(id);
    if (method === "DELETE" && !wantsState) return this.#stop(id);
    return notAllowed(wantsState ? "GET, HEAD" : "GET, HEAD, POST, DELETE");
  }

  async #start(named: string | undefined): Promise<RunAnswer> {
    const { start } = this.#options;
    if (start === undefined) return notAllowed("GET, HEAD, DELETE");
    const id = named ?? idempotencyKey(this.#request) ?? crypto.randomUUID();
    if (!isRunId(id)) return noId("The idempotency key");
    const found = await this.#runs.find(id);
    if (found.kind === "expired") return response(missing(id, found));
    if (found.kind === "run") return this.#answerJoined(id, found.info);
    const options = await start(this.#request, id);
    if (options instanceof Response) return { kind: "response", response: options };
    const { joined } = await this.#runs.start({ ...options, id });
    // Somebody else's start of the same id was quicker, and says only in the log whose the run is.
    if (joined) return this.#answerJoined(id, await this.#arrival(id));
    return this.#answerStart(id, await this.#runs.get(id));
  }

  async #answerJoined(id: string, info: RunInfo | undefined): Promise<RunAnswer> {
    if (info === undefined) return notYet(id);
    if (this.#wantsStream()) return this.#join(id);
    return (await this.#refusal(info)) ?? this.#startedJson(id, info, 200);
  }

  #answerStart(id: string, info: RunInfo | undefined): Promise<RunAnswer> | RunAnswer {
    return this.#wantsStream() ? this.#open(id) : this.#startedJson(id, info, 201);
  }

  #wantsStream(): boolean {
    return this.#request.headers.get("accept")?.includes(EVENT_STREAM_TYPE) === true;
  }

  #startedJson(id: string, info: RunInfo | undefined, status: number): RunAnswer {
    const { pathname } = new URL(this.#request.url);
    const base = (this.#options.path ?? "/runs").replace(/\/+$/, "");
    const location = `${pathname.slice(0, pathname.indexOf(base))}${base}/${encodeURIComponent(id)}`;
    return json(status, info === undefined ? { id, state: "running" } : stateOf(info), {
      Location: location,
    });
  }

  async #join(id: string): Promise<RunAnswer> {
    let refusal: RunAnswer | undefined;
    const answer = await this.#open(id, async (info) => {
      refusal = await this.#refusal(info);
      return refusal === undefined;
    });
    return refusal ?? answer;
  }

  async #open(id: string, authorize?: NonNullable<JoinOptions["authorize"]>): Promise<RunAnswer> {
    const { method, url, headers } = this.#request;
    const head: RequestHead = {
      // The answer to a start is a reader as any other.
      method: method === "POST" ? "GET" : method,
      url,
      header: (name) => headers.get(name),
    };
    const opening = await this.#runs.open(head, id, {
      ...this.#options.join,
      ...(authorize && { authorize }),
    });
    return opening.kind === "stream" ? opening : response(opening);
  }

  async #state(id: string): Promise<RunAnswer> {
    const found = await this.#runs.find(id);
    if (found.kind !== "run") return response(missing(id, found));
    return (await this.#refusal(found.info)) ?? json(200, stateOf(found.info));
  }

  async #stop(id: string): Promise<RunAnswer> {
    const found = await this.#runs.find(id);
    if (found.kind === "expired") return response(missing(id, found));
    let info = found.kind === "run" ? found.info : undefined;
    if (info === undefined && (await this.#runs.running()).includes(id)) {
      info = await this.#arrival(id);
      if (info === undefined) return notYet(id);
    }
    const { authorizeEarlyStop = () => true } = this.#options;
    const refusal =
      info === undefined ? refusalOf(await authorizeEarlyStop(this.#request, id)) : await this.#refusal(info);
    if (refusal !== undefined) return refusal;
    await this.#runs.stop(id);
    return { kind: "response", response: new Response(null, { status: 204 }) };
  }

  /** What the log says of a run whose start may be on its way. Waits for it as a join does, and opens nothing. */
  async #arrival(id: string): Promise<RunInfo | undefined> {
    let info: RunInfo | undefined;
    const authorize = (found: RunInfo): boolean => {
      info = found;
      return false;
    };
    await this.#runs.open({ method: "GET", url: "/", header: () => undefined }, id, { authorize });
    return info;
  }

  async #refusal(info: RunInfo): Promise<RunAnswer | undefined> {
    return refusalOf(await this.#options.authorize(this.#request, info));
  }
}

/** The header's value; drafts of its standard have it in quotation marks. */
function idempotencyKey(request: Request): string | undefined {
  return request.headers.get("idempotency-key")?.replace(/^"(.*)"$/, "$1") || undefined;
}
