import type { IncomingMessage, ServerResponse } from 'node:http';
import { anonymousActor, requestStateOf } from '../../http/request-state.ts';
import { StoreUnavailable } from '../adapter/store-errors.ts';
import { inUnitOfWork } from '../adapter/unit-of-work.ts';
import { ROUTES } from '../configuration/features.ts';
import type { TenantProvider } from '../provider-registry.ts';
import { introspectionAnswer } from './introspection-answer.ts';
import { userinfoAnswer } from './userinfo-answer.ts';

/** @returns undefined for whatever the engine is to answer: all that is refused, and all that is not plain */
export type DirectAnswer = (
  tenantProvider: TenantProvider,
  req: IncomingMessage,
) => Promise<object | undefined>;

interface Question {
  find: DirectAnswer;
  /** Whether the answer is about the person, who is then read with the token. */
  asksForAccounts: boolean;
  /** Headers that pages of other origins may read, of this answer and of the refusals in its place. */
  exposed: string;
}

const QUESTIONS = new Map<string, Question>([
  [
    `GET ${ROUTES.userinfo}`,
    { find: userinfoAnswer, asksForAccounts: true, exposed: 'DPoP-Nonce,WWW-Authenticate' },
  ],
  [
    `POST ${ROUTES.introspection}`,
    { find: introspectionAnswer, asksForAccounts: false, exposed: 'WWW-Authenticate' },
  ],
]);

/**
 * Answers the plain questions that are asked most without the engine's application around its models
 * (docs/adr/0023): with the bytes the engine would have answered with, or not at all.
 * @returns whether there is an answer; where not, nothing was read from the request or written
 */
export async function answerDirectly(
  tenantProvider: TenantProvider,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<boolean> {
  const question = QUESTIONS.get(`${req.method} ${req.url}`);
  // The engine knows which origins may read the answer.
  if (!question || req.headers.origin !== undefined) return false;

  const { db, tenant } = tenantProvider.context;
  let answer: object | undefined;
  try {
    await inUnitOfWork(
      {
        db,
        kind: 'read',
        asksForAccounts: question.asksForAccounts,
        actor: () => anonymousActor({ req }, tenant.id),
      },
      async () => {
        answer = await question.find(tenantProvider, req);
        return false;
      },
    );
  } catch (err) {
    // The engine will meet the same, and knows how to say so.
    if (!(err instanceof StoreUnavailable)) requestStateOf({ req }).log.error({ err }, 'no direct answer');
  }
  if (!answer) return false;

  const body = JSON.stringify(answer);
  res.writeHead(200, {
    vary: 'Origin',
    'access-control-allow-origin': '*',
    'access-control-expose-headers': question.exposed,
    'cache-control': 'no-store',
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  });
  res.end(body);
  // What was only looked at.
  req.resume();
  return true;
}
