import { itAnswersAsMemory } from "../logs/model.ts";
import { denseLog, Numbers } from "./dense.ts";
import { natsFixture, natsForTests } from "./fixture.ts";

const nats = natsForTests();

const create = async () => {
  const numbers = new Numbers();
  const far = await natsFixture(nats)();
  return {
    log: denseLog(far.log, numbers),
    restart: async () => denseLog(await far.restart(), numbers),
    dispose: () => far.dispose(),
  };
};

itAnswersAsMemory("the log in NATS", create, { deletesHaveIds: false });
