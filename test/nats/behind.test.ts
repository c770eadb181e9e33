// A copy of a stream that is behind another one: a server that was just started, or has only begun to lead.
import { headers } from "@nats-io/transport-node";
import { describe, expect, it, onTestFinished } from "vitest";
import { Clock } from "../../src/logs/nats/clock.ts";
import { Link } from "../../src/logs/nats/link.ts";
import { loadIds } from "../../src/logs/nats/load-ids.ts";
import { settingsOf } from "../../src/logs/nats/options.ts";
import { encodeIds, encodeRecord, IDS_HEADER, RECORD_HEADER, UNKNOWN } from "../../src/logs/nats/record.ts";
import type { Session } from "../../src/logs/nats/session.ts";
import { has, openStream } from "../../src/logs/nats/stream.ts";
import { KnownTopics } from "../../src/logs/nats/topics.ts";
import { lossy } from "./lossy.ts";
import { startWorld } from "./world.ts";

/** A link to a stream that has no messages yet, which takes that for one of several copies. */
async function linked() {
  const { nats } = await startWorld();
  const settings = settingsOf({ timeout: 20_000 });
  const link = new Link((await lossy(nats)).connection, settings);
  onTestFinished(() => link.end(new Error("the test is over")));
  const stream = await openStream(link, settings);
  link.isCopied = true;
  const publish = async (id: string, previous = 0): Promise<void> => {
    const hdrs = headers();
    hdrs.set(
      RECORD_HEADER,
      encodeRecord({ ...UNKNOWN, nonce: id, previous, count: 1, idsUntil: Date.now() + 1e6 }),
    );
    hdrs.set(IDS_HEADER, encodeIds([{ id, from: 0, count: 1, until: Date.now() + 1e6 }]));
    await link.request(stream.subjects.topic("t"), "[0]", hdrs);
  };
  return { link, settings, stream, publish };
}

describe("a copy that is behind", () => {
  it("begins a clock too early, which tells nobody of what it has told already", async () => {
    const { link, settings, stream, publish } = await linked();
    await publish("a");
    await publish("b");
    const told: number[] = [];
    const options = { stream: settings.name, subject: stream.subjects.all, heartbeatMs: 10_000, through: 4 };
    const clock = await Clock.start(link, options, ({ sequence }) => void told.push(sequence));
    for (const id of ["c", "d", "e", "f"]) await publish(id);
    await clock.reaches(6);
    expect(told).toEqual([5, 6]);
  });

  it.each([true, false])(
    "has a message whose time is before that of the one before: believed if the leader has it, too (%s)",
    async (isTrue) => {
      const { link, settings, stream, publish } = await linked();
      const subscribe = link.subscribe.bind(link);
      link.subscribe = (subject, take) =>
        subscribe(subject, (message) => {
          const tokens = message.reply?.split(".") ?? [];
          const isEarly = tokens[5] === "2" || tokens[5] === "4";
          const reply = tokens.map((token, index) => (index === 7 && isEarly ? "1" : token)).join(".");
          take(isEarly ? Object.create(message, { reply: { value: reply } }) : message);
        });
      const ask = link.getFromLeader.bind(link);
      link.getFromLeader = (question) => ask(isTrue ? question : { seq: 1 });
      const told: number[] = [];
      const options = {
        stream: settings.name,
        subject: stream.subjects.all,
        heartbeatMs: 10_000,
        through: 0,
      };
      const clock = await Clock.start(link, options, ({ sequence }) => void told.push(sequence));
      for (const id of ["a", "b", "c", "d", "e"]) await publish(id).catch(() => undefined);
      if (isTrue) await clock.reaches(5);
      else await expect.poll(() => link.failure?.message).toContain("differ");
      expect(told).toEqual(isTrue ? [1, 2, 3, 4, 5] : [1]);
    },
  );

  it("as a leader is given time for what another one has shown", async () => {
    const { link, stream, publish } = await linked();
    await publish("a");
    const coming = has(link, stream.info, 2);
    await publish("b");
    expect(await coming).toBe(true);
    link.isCopied = false;
    expect(await has(link, stream.info, 2)).toBe(false);
  });

  it("is not asked for a topic's ids again, but another one", async () => {
    const { link, stream, publish } = await linked();
    await publish("a");
    await publish("b", 1);
    const topics = new KnownTopics(stream.subjects);
    const last = (subject: string) => link.getFromLeader({ last_by_subj: subject });
    topics.source = { last };
    const session = { link, topics, get: link.getFromLeader.bind(link) } as unknown as Session;
    const load = async () => {
      const topic = topics.topic("t");
      await topics.load(topic);
      return loadIds(session, topic, 300_000);
    };
    const fetch = link.fetch.bind(link);
    link.fetch = async (question) => (await fetch(question)).slice(0, 1);
    await expect(load()).rejects.toMatchObject({ name: "NoAnswer" });
    link.fetch = fetch;
    const ids = await load();
    expect(["a", "b"].map((id) => ids.find(id, Date.now())?.length)).toEqual([1, 1]);
  });
});
