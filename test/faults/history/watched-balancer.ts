import { fetchBy } from '../support/balancer.ts';
import type { Balancer } from '../support/balancer.ts';
import type { Recorder } from './record.ts';

/** An answer that comes sooner is nobody's complaint. */
const REMARKABLE_MS = 1_000;

/**
 * A balancer that records the requests which took long or were answered by 503. Operations consist of any
 * number of requests, so that their own records cannot tell.
 */
export function watchedBalancer(balancer: Balancer, recorder: Recorder): Balancer {
  const send: Balancer['send'] = async (request, first) => {
    const invokedAt = recorder.now();
    const answer = await balancer.send(request, first);
    const isAnswered = answer.kind === 'answered';
    const isUnavailable = isAnswered && answer.status === 503;
    if (isUnavailable || answer.milliseconds > REMARKABLE_MS)
      recorder.add({
        worker: 0,
        server: first ?? 0,
        invokedAt,
        outcome: isUnavailable ? 'unavailable' : isAnswered ? 'ok' : 'unknown',
        detail: isAnswered
          ? `${answer.status}, reference ${String(answer.headers['x-request-id'])}`
          : answer.kind,
        kind: 'request',
        path: new URL(request.url).pathname,
        retryAfterSeconds: isAnswered ? Number(answer.headers['retry-after']) || undefined : undefined,
      });
    return answer;
  };
  return { ...balancer, send, fetch: fetchBy(send) };
}
