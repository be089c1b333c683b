import type { IncomingMessage, ServerResponse } from 'node:http';
import { anonymousActor } from '../../http/request-state.ts';
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

const ANSWERS = new Map<string, DirectAnswer>([
  [`GET ${ROUTES.userinfo}`, userinfoAnswer],
  [`POST ${ROUTES.introspection}`, introspectionAnswer],
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
  const find = ANSWERS.get(`${req.method} ${req.url}`);
  // The engine knows which origins may read the answer.
  if (!find || req.headers.origin !== undefined) return false;

  const { db, tenant } = tenantProvider.context;
  let answer: object | undefined;
  try {
    await inUnitOfWork(
      {
        db,
        kind: 'read',
        asksForAccounts: find === userinfoAnswer,
        actor: () => anonymousActor({ req }, tenant.id),
      },
      async () => {
        answer = await find(tenantProvider, req);
        return false;
      },
    );
  } catch (err) {
    // It will not answer the engine either, which says so.
    if (!(err instanceof StoreUnavailable)) throw err;
  }
  if (!answer) return false;

  const body = JSON.stringify(answer);
  res.writeHead(200, {
    vary: 'Origin',
    'cache-control': 'no-store',
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  });
  res.end(body);
  // What was only looked at.
  req.resume();
  return true;
}
