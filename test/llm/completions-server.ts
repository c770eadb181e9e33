import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as turn } from "node:timers/promises";

/** One request to the loopback server, and what a test lets it answer. */
export interface Exchange {
  readonly body: { model: string; stream: boolean; messages: { role: string; content: string }[] };
  readonly authorization: string | undefined;
  /** Resolves when the client has gone or the answer is complete. */
  readonly closed: Promise<void>;
  /** Whether the client left before the answer's end. */
  readonly cut: () => boolean;
  /** Sends a piece of the answer's text. */
  text(content: string): Promise<void>;
  /** Sends a chunk with this `delta`. */
  delta(delta: Record<string, unknown>): Promise<void>;
  /** Sends bytes as they are. */
  raw(bytes: Uint8Array): Promise<void>;
  /** Ends the answer as the protocol asks: finish reason, then `[DONE]`. */
  finish(): Promise<void>;
  /** Answers with an error and no stream. */
  refuse(status: number, error: { message: string; type: string; code: string | null }): void;
  /** Sends one event, as providers other than OpenAI's completions name theirs. */
  event(data: unknown, name?: string): Promise<void>;
  /** Ends the answer and says nothing more. */
  end(): void;
  /** Answers with JSON and no stream. */
  json(status: number, body: unknown, headers?: Record<string, string>): void;
  /** Cuts the connection with a TCP reset. */
  reset(): void;
}

export interface CompletionsServer {
  readonly baseURL: string;
  readonly exchanges: readonly Exchange[];
  close(): Promise<void>;
}

/** A loopback server that speaks the stream of OpenAI's chat completions; `answer` plays each request. */
export async function startCompletions(
  answer: (exchange: Exchange) => Promise<void>,
): Promise<CompletionsServer> {
  const exchanges: Exchange[] = [];
  const failures: unknown[] = [];
  const server = createServer((request, response) => {
    receive(request, response)
      .then((exchange) => {
        exchanges.push(exchange);
        return answer(exchange);
      })
      .catch((error: unknown) => failures.push(error));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    baseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    exchanges,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      if (failures.length > 0) throw failures[0];
    },
  };
}

export function chunkBytes(delta: Record<string, unknown>, finish: string | null = null): Buffer {
  const chunk = {
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1_700_000_000,
    model: "gpt-4-turbo",
    choices: [{ index: 0, delta, finish_reason: finish }],
  };
  return Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`);
}

async function receive(request: IncomingMessage, response: ServerResponse): Promise<Exchange> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const closed = new Promise<void>((resolve) => response.once("close", resolve));
  const raw = async (bytes: Uint8Array): Promise<void> => {
    if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(bytes);
    await turn();
  };
  return {
    body: JSON.parse(Buffer.concat(parts).toString()),
    authorization: request.headers.authorization,
    closed,
    cut: () => response.closed && !response.writableFinished,
    raw,
    delta: (delta) => raw(chunkBytes(delta)),
    text: (content) => raw(chunkBytes({ content })),
    finish: async () => {
      await raw(chunkBytes({}, "stop"));
      response.end("data: [DONE]\n\n");
    },
    refuse: (status, error) => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error }));
    },
    event: (data, name) =>
      raw(Buffer.from(`${name === undefined ? "" : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`)),
    end: () => {
      response.end();
    },
    json: (status, answer, headers) => {
      response
        .writeHead(status, { "content-type": "application/json", ...headers })
        .end(JSON.stringify(answer));
    },
    reset: () => {
      request.socket.resetAndDestroy();
    },
  };
}
