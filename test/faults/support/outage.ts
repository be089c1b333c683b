import { setTimeout as delay } from 'node:timers/promises';
import { createPerson } from '../history/world.ts';
import type { World } from '../history/world.ts';
import type { Answer } from './answers.ts';
import type { Held } from './families.ts';
import { openSignInForm, requestsOf } from './requests.ts';
import type { NamedRequest } from './requests.ts';

/** What a client may wait for, whatever the state of the database. */
export const LONGEST_ANSWER_MS = 3_000;

/** Every way in which requests are answered while there is no database. */
export const UNAVAILABLE = [
  'account portal: 503 page',
  'authorize: 503 page',
  'client credentials: 503 temporarily_unavailable',
  'discovery: 200',
  'introspect: 503 temporarily_unavailable',
  'keys: 200',
  'liveness: 200',
  'password: 503 page',
  'push a request: 503 temporarily_unavailable',
  'readiness: 503',
  'refresh: 503 temporarily_unavailable',
  'revoke: 503 temporarily_unavailable',
  'sign in over the API: 503 temporarily_unavailable',
  'userinfo: 503 temporarily_unavailable',
  'validate: 503 temporarily_unavailable',
];

/**
 * Everything there is to ask, of each family, with one form of a sign-in for each of so many people.
 * @param revoked a family that may end
 */
export async function everyRequest(
  world: World,
  { held, revoked, signIns }: { held: readonly Held[]; revoked: Held; signIns: number },
): Promise<{ requests: NamedRequest[]; forms: NamedRequest[] }> {
  const forms: NamedRequest[] = [];
  // One after the other: the crowd is to come later.
  for (let count = 0; count < signIns; count += 1)
    forms.push(await openSignInForm(world, await createPerson(world.services, world.tenant)));
  const revocation = {
    what: 'revoke',
    url: `${world.issuer}/revoke`,
    headers: { authorization: revoked.app.authorization },
    form: { token: revoked.refresh },
  };
  return { forms, requests: [...held.flatMap((family) => requestsOf(world, family)), ...forms, revocation] };
}

/** Or what is measured is how fast this machine says no. */
const PAUSE_MS = 100;
const BEGIN_WITHIN_MS = 500;

/**
 * Each of them over and over for so long, with a pause after each answer. They begin one after the other
 * within half a second; the last answers come later.
 */
export async function sendFor(
  milliseconds: number,
  { balancer }: Pick<World, 'balancer'>,
  requests: readonly NamedRequest[],
): Promise<Answer[]> {
  const answers: Answer[] = [];
  let isOver = false;
  const sending = requests.map(async ({ what, ...request }, index) => {
    await delay((BEGIN_WITHIN_MS * index) / requests.length);
    while (!isOver) {
      answers.push({ what, outcome: await balancer.send(request) });
      await delay(PAUSE_MS);
    }
  });
  await delay(milliseconds);
  isOver = true;
  await Promise.all(sending);
  return answers;
}

/** One request, as who comes back when a 503 has told them to. @returns all that was answered */
export async function insist(
  { balancer }: Pick<World, 'balancer'>,
  { what, ...request }: NamedRequest,
  mostTries: number,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  while (answers.length < mostTries) {
    const outcome = await balancer.send(request);
    answers.push({ what, outcome });
    if (outcome.kind !== 'answered' || outcome.status !== 503) break;
    await delay(Number(outcome.headers['retry-after']) * 1000);
  }
  return answers;
}

/** Each of them once, at the same time. */
export async function sendAll(
  { balancer }: Pick<World, 'balancer'>,
  requests: readonly NamedRequest[],
): Promise<Answer[]> {
  return Promise.all(
    requests.map(async ({ what, ...request }) => ({ what, outcome: await balancer.send(request) })),
  );
}

export function isRefresh({ what }: { what: string }): boolean {
  return what === 'refresh';
}
