import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { slowerThan, tally, withoutRetryAfter } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { holdFamilies } from './support/families.ts';
import { inForm } from './support/form.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import {
  everyRequest,
  isRefresh,
  LONGEST_ANSWER_MS,
  sendAll,
  sendFor,
  UNAVAILABLE,
} from './support/outage.ts';
import type { NamedRequest } from './support/requests.ts';
import { isReady } from './support/server-process.ts';

const STALL_MS = inForm({ short: 5_000, long: 20_000 });
const FAMILIES = 5;
/** Of every refresh token, as impatient clients send them: they queue up behind each other. */
const SAME_AT_ONCE = 6;
/** Many more than there are seats, and not too many for those who wait: nobody is turned away at once. */
const SIGN_INS = 60;
/** Not everybody gets as far as the database; on a page there is no telling. */
const BUSY = 'sign in over the API: 503 password.busy';

describe('while the database stands still', function () {
  this.timeout(120_000);
  let installation: Installation;
  let world: World;
  before(async () => {
    installation = await startInstallation({ env: { GATEHOUSE_PASSWORD_HASHERS: '1' } });
    world = await createWorld(installation, { users: 4, apps: 3 });
  });
  after(() => installation.close());

  /** Sends everything there is for as long as the database does not answer. */
  async function sendDuring({ begin, end }: { begin: () => Promise<void>; end: () => Promise<void> }) {
    const [revoked, ...held] = await holdFamilies(world, FAMILIES);
    assert.ok(revoked);
    const { requests, forms } = await everyRequest(world, { held, revoked, signIns: SIGN_INS });
    const refreshes = requests.filter(isRefresh);
    const more = Array.from({ length: SAME_AT_ONCE - 1 }, () => refreshes).flat();
    await begin();
    const answers = await sendFor(STALL_MS, world, [...requests, ...more]);
    await end();
    for (const { url } of installation.servers) while (!(await isReady(url))) await delay(20);
    return { answers, afterwards: [...refreshes, ...forms.slice(0, 4)] };
  }

  async function assertGoesOn(requests: readonly NamedRequest[]): Promise<void> {
    assert.deepEqual(tally(await sendAll(world, requests)), ['password: 303', 'refresh: 200']);
  }

  const withoutBusy = (answers: readonly Answer[]) => tally(answers).filter((line) => line !== BUSY);

  it('says so within 3 s, blames no token, and goes on afterwards', async () => {
    const { answers, afterwards } = await sendDuring({
      begin: () => installation.postgres.freeze(),
      end: async () => installation.postgres.thaw(),
    });

    assert.deepEqual(withoutBusy(answers), UNAVAILABLE);
    assert.deepEqual(slowerThan(answers, LONGEST_ANSWER_MS), []);
    assert.deepEqual(withoutRetryAfter(answers.filter(({ what }) => what !== 'readiness')), []);
    await assertGoesOn(afterwards);
  });

  it('does the same while somebody has locked its tables', async () => {
    let unlock = async () => {};

    const { answers, afterwards } = await sendDuring({
      begin: async () => {
        const trx = await installation.db.transaction();
        await trx.raw('LOCK TABLE oidc_models, users IN ACCESS EXCLUSIVE MODE');
        unlock = async () => void (await trx.rollback());
      },
      end: () => unlock(),
    });

    // Whether they are ready depends on whether the question gets one of their connections.
    const others = answers.filter(({ what }) => what !== 'readiness');
    assert.deepEqual(
      withoutBusy(others),
      UNAVAILABLE.filter((line) => !line.startsWith('readiness')),
    );
    assert.deepEqual(slowerThan(answers, LONGEST_ANSWER_MS), []);
    await assertGoesOn(afterwards);
  });
});
