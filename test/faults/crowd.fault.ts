import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { createPerson, createWorld } from './history/world.ts';
import type { World } from './history/world.ts';
import { percentile, tally, withoutRetryAfter } from './support/answers.ts';
import type { Answer } from './support/answers.ts';
import { startClients } from './support/client-process.ts';
import { holdFamilies } from './support/families.ts';
import { inForm } from './support/form.ts';
import { startInstallation } from './support/installation.ts';
import type { Installation } from './support/installation.ts';
import { openSignInForm, renewalsOf, requestsOf } from './support/requests.ts';
import type { NamedRequest, RepeatedRequest } from './support/requests.ts';

const CROWD = 500;
const AT_ONCE = 8;
/** Whoever is turned away comes again when the answer said so. */
const MOST_TRIES = inForm({ short: 3, long: 20 });
const OTHERS_PER_SECOND = 40;
/** So many that each has had its answer before it is its turn again. */
const FAMILIES = 16;
const PEOPLE_TIMED = 20;
const QUIET_MS = 4_000;
/** The short form must tell a crowd that is let in all at once, also on a machine that is not its own. */
const LONGEST_P99_MS = inForm({ short: 1_500, long: 500 });
/** On a machine that takes longer than this for a new person, which is little but the hash, everything may. */
const NEW_PERSON_MS = 30;
/** Less than a twentieth of what the crowd's hashes would take at the same time. */
const MOST_GROWTH_BYTES = 300 * 1024 * 1024;

describe('a crowd that signs in at once', function () {
  this.timeout(inForm({ short: 120_000, long: 300_000 }));
  let installation: Installation;
  let world: World;
  before(async () => {
    // As two workers on two cores have it.
    installation = await startInstallation({ env: { GATEHOUSE_PASSWORD_HASHERS: '1' } });
    world = await createWorld(installation, { users: 2, apps: 2 });
  });
  after(() => installation.close());

  const startOurs = (
    requests: readonly RepeatedRequest[],
    pace: Parameters<typeof startClients>[0]['pace'],
  ) =>
    startClients({
      publicUrl: installation.publicUrl,
      urls: installation.servers.map(({ url }) => url),
      requests,
      pace,
    });

  async function openForms(): Promise<NamedRequest[]> {
    return inTurns(CROWD, AT_ONCE, async () =>
      openSignInForm(world, await createPerson(installation.services, world.tenant)),
    );
  }

  /** @returns 1 for a machine that is fast enough, 2 for one that takes twice as long as that */
  async function slowness(): Promise<number> {
    const startedAt = performance.now();
    await inTurns(PEOPLE_TIMED, 1, () => createPerson(installation.services, world.tenant));
    return Math.max(1, (performance.now() - startedAt) / PEOPLE_TIMED / NEW_PERSON_MS);
  }

  /** Resident memory of the larger one. */
  const residentBytes = () => Math.max(...installation.servers.map((server) => server.rssBytes()));

  it('is let in as fast as passwords are hashed, keeps nobody else waiting, and takes no memory', async () => {
    const forms = await openForms();
    const longestMs = LONGEST_P99_MS * (await slowness());
    const requestsOfApps = async () =>
      (await holdFamilies(world, FAMILIES)).flatMap((family) => [
        ...requestsOf(world, family).filter(isReading),
        ...renewalsOf(world, family),
      ]);

    const [requestsBefore, requestsDuring] = [await requestsOfApps(), await requestsOfApps()];

    const quiet = startOurs(requestsBefore, { kind: 'steadily', perSecond: OTHERS_PER_SECOND });
    await delay(QUIET_MS);
    quiet.stop();
    const before = await quiet.answers;
    const restingBytes = residentBytes();
    let mostBytes = restingBytes;
    const watch = setInterval(() => {
      mostBytes = Math.max(mostBytes, residentBytes());
    }, 50);
    const others = startOurs(requestsDuring, { kind: 'steadily', perSecond: OTHERS_PER_SECOND });
    const signIns = await startOurs(forms, { kind: 'at-once', mostTries: MOST_TRIES }).answers;
    others.stop();
    const during = await others.answers;
    clearInterval(watch);

    assert.deepEqual(tally([...before, ...during]), [
      'authorize: 303',
      'client credentials: 200',
      'exchange: 200',
      'introspect: 200',
      'refresh: 200',
      'userinfo: 200',
    ]);
    assert.deepEqual(tally(signIns), ['password: 303', 'password: 503 page']);
    assert.deepEqual(withoutRetryAfter(signIns), []);
    assert.ok(
      p99Of(during) < longestMs,
      `others: p99 ${Math.round(p99Of(during))} ms of ${Math.round(longestMs)}, without the crowd ${Math.round(p99Of(before))}`,
    );
    assert.ok(
      mostBytes - restingBytes < MOST_GROWTH_BYTES,
      `from ${Math.round(restingBytes / 2 ** 20)} to ${Math.round(mostBytes / 2 ** 20)} MB`,
    );
  });
});

function isReading({ what }: { what: string }): boolean {
  return ['client credentials', 'introspect', 'userinfo'].includes(what);
}

function p99Of(answers: readonly Answer[]): number {
  return percentile(answers, 0.99);
}

async function inTurns<Result>(
  count: number,
  atOnce: number,
  make: () => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let left = count;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left > 0) {
        left -= 1;
        results.push(await make());
      }
    }),
  );
  return results;
}
