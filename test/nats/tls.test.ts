// A server that speaks nothing but TLS, with a certificate that is made here.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { natsLog } from "everstream/nats";
import { expect, it, onTestFinished } from "vitest";
import { dataFolder } from "../brokers/folder.ts";
import { startNats } from "../brokers/nats-server.ts";
import { openNode } from "../logs/contract.ts";

/** A certificate for this machine, which is its own authority. */
async function certificate(): Promise<{ cert: string; key: string }> {
  const folder = await dataFolder("tls");
  onTestFinished(folder.remove);
  const [cert, key] = [join(folder.path, "cert.pem"), join(folder.path, "key.pem")];
  await promisify(execFile)("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
    ...["-subj", "/CN=everstream", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
  ]);
  return { cert, key };
}

it("natsLog keeps a hub over TLS, and trusts nobody whom it was not told to", async () => {
  const { cert, key } = await certificate();
  const server = await startNats({ args: ["--tls", "--tlscert", cert, "--tlskey", key] });
  onTestFinished(() => server.dispose());
  const ca = await readFile(cert, "utf8");
  const servers = `tls://localhost:${server.port}`;
  const node = await openNode(natsLog({ servers, connect: { tls: { ca } } }));
  await node.follow("t");
  const [sequence] = await node.append("t", ["1"], { publishId: "p" });
  await node.fed(sequence as number);
  await server.kill();
  await server.start();
  await node.append("t", ["2"]);
  expect((await node.read(["t"])).entries.map(({ event }) => event.data)).toEqual(["1", "2"]);
  await node.connection.close();
  for (const connect of [{}, { tls: {} }]) {
    await expect(openNode(natsLog({ servers, connect, timeout: 30_000 }))).rejects.toMatchObject({
      code: "LOG_UNSUITABLE",
      message: expect.stringContaining("certificate"),
    });
  }
});
