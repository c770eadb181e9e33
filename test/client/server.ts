import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { EventStream, StreamEvent, StreamStatus } from "everstream/client";
import { onTestFinished } from "vitest";

/** One request as the server got it, with the response that the test writes by hand. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: string;
  /** Sends the head of an event stream, then `text`. */
  open(text?: string): void;
  /** Ends the connection as a crash would, without ending the response. */
  cut(): void;
  /** Resolves when the connection is gone. */
  readonly gone: Promise<void>;
}

export interface TestServer {
  readonly url: string;
  /** All requests up to now. */
  readonly exchanges: readonly Exchange[];
  /** The request of that number, from 0, as soon as it came. */
  exchange(index: number): Promise<Exchange>;
}

/** A server on a real socket that answers with what the test writes. It closes with the test. */
export async function startServer(answer?: (exchange: Exchange, index: number) => void): Promise<TestServer> {
  const exchanges: Exchange[] = [];
  const waiting: (() => void)[] = [];
  const server = createServer((request, response) => {
    const gone = new Promise<void>((resolve) => response.once("close", resolve));
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const exchange: Exchange = {
        request,
        response,
        body: Buffer.concat(chunks).toString(),
        open(text = "") {
          response.writeHead(200, { "content-type": "text/event-stream" });
          response.flushHeaders();
          if (text !== "") response.write(text);
        },
        cut: () => void response.socket?.resetAndDestroy(),
        gone,
      };
      exchanges.push(exchange);
      for (const resume of waiting.splice(0)) resume();
      answer?.(exchange, exchanges.length - 1);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/stream`,
    exchanges,
    async exchange(index) {
      for (;;) {
        const exchange = exchanges[index];
        if (exchange !== undefined) return exchange;
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
  };
}

/** Closes the stream with the test, so that no test leaves a timer or a socket behind. */
export function closing<T extends { close(): void }>(stream: T): T {
  onTestFinished(() => stream.close());
  return stream;
}

/** The first status, from now on, that is in `state`. */
export function reached(stream: EventStream, state: StreamStatus["state"]): Promise<StreamStatus> {
  if (stream.status.state === state) return Promise.resolve(stream.status);
  return new Promise((resolve) => {
    const stop = stream.onStatus((status) => {
      if (status.state !== state) return;
      stop();
      resolve(status);
    });
  });
}

/** A listener's calls, which can be awaited. */
export function record<T>(): { readonly all: T[]; add(value: T): void; count(length: number): Promise<T[]> } {
  const all: T[] = [];
  const waiting: { length: number; resolve: (all: T[]) => void }[] = [];
  return {
    all,
    add(value) {
      all.push(value);
      for (const { length, resolve } of waiting) if (all.length >= length) resolve(all);
    },
    count: (length) =>
      new Promise((resolve) => {
        if (all.length >= length) resolve(all);
        else waiting.push({ length, resolve });
      }),
  };
}

/** All events, with their data in order. */
export function recordData(stream: EventStream): ReturnType<typeof record<string>> {
  const data = record<string>();
  stream.onEvent((event: StreamEvent) => data.add(event.data));
  return data;
}
