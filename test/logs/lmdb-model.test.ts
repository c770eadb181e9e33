import { lmdbFixture } from "./lmdb-folder.ts";
import { itAnswersAsMemory } from "./model.ts";

itAnswersAsMemory("the log on disk", lmdbFixture);
