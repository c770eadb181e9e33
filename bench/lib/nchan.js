import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Where Debian's libnginx-mod-nchan puts it. */
export const NCHAN_MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/** Where nginx is; a user's PATH often lacks sbin. */
export const nginx = () =>
  [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"]
    .map((folder) => join(folder, "nginx"))
    .find((path) => existsSync(path));

export const hasNchan = () =>
  process.platform === "linux" && existsSync(NCHAN_MODULE) && nginx() !== undefined;

/** As nginx says it, on stderr. */
export function nginxVersion() {
  const said = spawnSync(nginx() ?? "nginx", ["-v"], { encoding: "utf8" }).stderr;
  return /nginx\/[\d.]+/.exec(said)?.[0] ?? "nginx";
}
