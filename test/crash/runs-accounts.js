// What the log holds of runs after all crashes, and what there is to find fault with in it and in what readers received.
import { createHub, createRuns } from "everstream";
import { lmdbLog } from "everstream/lmdb";
import { countOf, textAfter } from "./runs-scheme.js";

/**
 * Opens the log here and compares.
 *
 * @param {string} path
 * @param {readonly import("./runs-case.js").RunCase[]} cases
 * @param {boolean} goesOn
 * @returns {Promise<{ faults: string[], states: Record<string, number> }>}
 */
export async function judgeRuns(path, cases, goesOn) {
  const hub = createHub({ log: lmdbLog({ path }) });
  const runs = createRuns({ hub });
  /** @type {Record<string, number>} */
  const states = {};
  const faults = [];
  try {
    for (const run of cases) {
      const stored = await readRun(hub, run.id);
      const state = (await runs.get(run.id))?.state ?? "not there";
      states[state] = (states[state] ?? 0) + 1;
      const found = [
        ...faultsOfStored(run, stored),
        ...faultsOfState(run, state, stored.text, goesOn),
        ...faultsOfReaders(run, state, stored.text),
      ];
      faults.push(...found.map((fault) => `${run.id}: ${fault}`));
    }
    const running = await runs.running();
    if (running.length > 0) faults.push(`${running.join()}: still counted as running`);
    return { faults, states };
  } finally {
    await runs.close();
    await hub.close();
  }
}

/** @typedef {{ types: string[], text: string }} Stored */

/**
 * @param {import("everstream").Hub} hub
 * @param {string} id
 * @returns {Promise<Stored>}
 */
async function readRun(hub, id) {
  const types = [];
  let text = "";
  let after;
  for (;;) {
    const { events } = await hub.read(`run:${id}`, { after });
    if (events.length === 0) return { types, text };
    for (const { type, data } of events) {
      types.push(type);
      if (type === "token") text += /** @type {{ content: string }} */ (data).content;
    }
    after = events.at(-1)?.id;
  }
}

/**
 * @param {import("./runs-case.js").RunCase} run
 * @param {Stored} stored
 */
function faultsOfStored({ id, writes, acknowledged }, { types, text }) {
  const faults = [];
  const endings = types.filter((type) => type === "done" || type === "error").length;
  if (types[0] !== "run") faults.push(`begins with ${types[0]}`);
  if (endings !== 1) faults.push(`has ${endings} endings`);
  if (types.at(-1) !== "done" && types.at(-1) !== "error") faults.push(`ends with ${types.at(-1)}`);
  const count = countOf(text);
  if (text !== textAfter(id, count)) faults.push("has another text than was written");
  if (count < acknowledged) faults.push(`has ${count} pieces, and ${acknowledged} were acknowledged`);
  if (count > writes) faults.push(`has ${count} pieces, and ${writes} were written`);
  return faults;
}

/**
 * @param {import("./runs-case.js").RunCase} run
 * @param {string} state
 * @param {string} text
 * @param {boolean} goesOn
 */
function faultsOfState({ pieces, begun, ended, stop }, state, text, goesOn) {
  const faults = [];
  const allowed = ["done", ...(stop.asked ? ["stopped"] : []), ...(goesOn ? [] : ["abandoned"])];
  if (!allowed.includes(state)) faults.push(`is ${state}`);
  if (stop.granted && state === "abandoned") faults.push("is abandoned, though its stop was granted");
  if (ended !== undefined && state !== ended) faults.push(`is ${state}, and had ended as ${ended}`);
  if (state === "done" && pieces !== "endless" && countOf(text) !== pieces) {
    faults.push(`is done with ${countOf(text)} of ${pieces} pieces`);
  }
  if (!goesOn && begun > 1) faults.push(`was produced ${begun} times`);
  return faults;
}

/**
 * @param {import("./runs-case.js").RunCase} run
 * @param {string} state
 * @param {string} text
 */
function faultsOfReaders({ followers, sockets }, state, text) {
  const faults = [];
  for (const { snapshot } of followers) {
    if (snapshot.state !== state) {
      faults.push(`is ${snapshot.state} for a client, and ${state} (${snapshot.error?.message ?? ""})`);
    }
    if (snapshot.text !== text) faults.push(`a client has ${describe(snapshot.text, text)}`);
  }
  for (const reader of sockets) {
    if (reader.text !== text) faults.push(`a socket has ${describe(reader.text, text)}`);
    if (reader.endings !== 1) faults.push(`a socket has ${reader.endings} endings`);
    for (const gap of reader.gaps) faults.push(`a socket was told of a gap: ${gap}`);
    for (const [status, times] of reader.client.refusals)
      faults.push(`${status} for a socket, ${times} times`);
  }
  return faults;
}

/**
 * @param {string} text
 * @param {string} whole
 */
function describe(text, whole) {
  return `${text.length} of ${whole.length} characters, ${whole.startsWith(text) ? "right" : "wrong"} ones`;
}
