// The page that browsers open: it asks its server what to run, one thing after another, and tells what came of it.
import { lag, runCase } from "./cases.ts";
import type { Task } from "./page-host.ts";

async function perform({ id, kind, name, url }: Task): Promise<void> {
  const seen = kind === "lag" ? await lag(url, name) : await runCase(name, url);
  await fetch(`/seen?id=${id}`, { method: "POST", body: JSON.stringify({ seen }) });
}

for (;;) {
  const answer = await fetch("/next", { cache: "no-store" });
  void perform((await answer.json()) as Task);
}
