import { describeLog } from "./contract.ts";
import { describeHubOver, remote } from "./hub-contract.ts";
import { lmdbFixture } from "./lmdb-folder.ts";

describeLog("lmdbLog", lmdbFixture);
describeHubOver("lmdbLog", lmdbFixture);
describeHubOver("lmdbLog, far away", remote(lmdbFixture));
