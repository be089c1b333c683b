import assert from 'node:assert/strict';
import type { MemoryLog } from '../http/support.ts';
import type { TestApp } from '../support/app.ts';

/**
 * What both ways of a request leave behind: their log lines, which must be alike, and how often it was counted.
 * @param request.userAgent of nobody else's requests
 * @param ask makes the request, the long way first; as often as it likes, but twice with this user agent
 */
export async function assertSameTraces(
  { metrics }: Pick<TestApp, 'metrics'>,
  logged: MemoryLog,
  request: { userAgent: string; method: string; route: string; outcome: string; status: number },
  ask: () => Promise<unknown>,
): Promise<{ counted: number }> {
  const { userAgent, method, route, outcome, status } = request;
  const series = `duration_seconds_count{method="${method}",route="${route}",outcome="${outcome}"} `;
  const count = async () => {
    const text = (await metrics?.registry.metrics()) ?? assert.fail('no metrics');
    const line = text.split('\n').find((one) => one.includes(series));
    return Number(line?.slice(line.lastIndexOf(' ')) ?? 0);
  };
  const ours = () => logged.lines.filter((line) => line.msg === 'request' && line.userAgent === userAgent);

  const before = await count();
  await ask();
  await logged.line(() => ours().length === 2);

  const [long, short] = ours().map(({ time: _t, durationMs: _d, correlationId: _c, ...rest }) => rest);
  assert.deepEqual(short, long);
  assert.partialDeepStrictEqual(short, { method, status, userAgent });
  return { counted: (await count()) - before };
}
