import type { IncomingMessage } from 'node:http';
import { parse } from 'node:querystring';
import type { ParsedUrlQuery } from 'node:querystring';
import { setImmediate as nextTurn } from 'node:timers/promises';

const FORM = /^application\/x-www-form-urlencoded(?:; ?charset=utf-8)?$/i;
const MOST_BYTES = 16_384;

/**
 * The form that a request carries, where all of it is there, as it is when it came in one packet or in two at
 * once. The request stays unread for whoever answers it.
 * @returns undefined where it is not there, or no plain form
 */
export async function peekForm(req: IncomingMessage): Promise<ParsedUrlQuery | undefined> {
  const length = Number(req.headers['content-length']);
  if (!FORM.test(req.headers['content-type'] ?? '') || !(length > 0 && length <= MOST_BYTES))
    return undefined;
  if (!req.complete) await nextTurn();
  if (!req.complete) return undefined;
  const body = req.read() as Buffer | null;
  if (body === null) return undefined;
  // Back to where it was, before anybody can notice that it ended.
  req.unshift(body);
  return body.length === length ? parse(body.toString()) : undefined;
}
