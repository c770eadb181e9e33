// Redis behind TLS, with a certificate that only the tests trust.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@redis/client";
import { createHub } from "everstream";
import { redisLog } from "everstream/redis";
import { expect, it, onTestFinished } from "vitest";
import { selfSigned } from "../brokers/certificate.ts";
import { freePort } from "../brokers/child.ts";
import { dataFolder } from "../brokers/folder.ts";
import { startRedis } from "../brokers/redis-server.ts";
import { connect, numbered, numbers } from "../hub/client.ts";

it("rediss:// reaches a server whose certificate is trusted, and no other", async () => {
  const { cert, key } = selfSigned();
  const { path, remove } = await dataFolder("tls");
  const [certFile, keyFile] = [join(path, "cert.pem"), join(path, "key.pem")];
  await Promise.all([writeFile(certFile, cert), writeFile(keyFile, key)]);
  const port = await freePort();
  const files = ["--tls-cert-file", certFile, "--tls-key-file", keyFile, "--tls-ca-cert-file", certFile];
  const redis = await startRedis([
    ...["--port", "0", "--tls-port", String(port), "--tls-auth-clients", "no"],
    ...files,
  ]);
  const url = `rediss://127.0.0.1:${port}`;
  const hub = createHub({
    log: redisLog({ client: createClient({ url, socket: { tls: true, ca: cert } }), checkInterval: 100 }),
  });
  const stranger = createHub({ log: redisLog({ url, timeout: 4000 }) });
  onTestFinished(async () => {
    await Promise.all([hub.close(), stranger.close()]);
    await redis.dispose();
    await remove();
  });
  const client = await connect(hub, { topics: "t" });
  await hub.publish("t", numbered(3));
  await client.until(({ data }) => data.length === 3);
  await redis.kill();
  await redis.start();
  await hub.publish("t", { data: 3 });
  await client.until(({ data }) => data.length === 4);
  expect([client.gaps, client.data]).toEqual([[], numbers(4)]);
  await expect(stranger.publish("t", { data: 1 })).rejects.toMatchObject({
    code: "LOG_FAILED",
    message: expect.stringContaining("self-signed certificate"),
  });
});
