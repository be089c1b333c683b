import type { Answer } from './answers.ts';
import type { Balancer } from './balancer.ts';
import { jsonOf } from './http-client.ts';
import type { Outcome } from './http-client.ts';
import type { RepeatedRequest } from './requests.ts';

/**
 * Sends what builds on the answer before, and prepares the next time.
 * @param answers gets this one, and that of the code it gave
 */
export async function sendRepeated(
  balancer: Pick<Balancer, 'send'>,
  repeated: RepeatedRequest,
  answers: Answer[],
): Promise<Answer> {
  const { what, rotates, redeem, ...request } = repeated;
  const outcome = await balancer.send(request);
  const answer = { what, outcome };
  answers.push(answer);
  const { refresh_token: refresh } = jsonOf(outcome);
  if (rotates && typeof refresh === 'string') repeated.form = { ...repeated.form, refresh_token: refresh };
  const code = redeem && codeOf(outcome);
  if (code) await sendRepeated(balancer, { ...redeem, form: { ...redeem.form, code } }, answers);
  return answer;
}

function codeOf(outcome: Outcome): string | null {
  const location = outcome.kind === 'answered' && outcome.headers.location;
  return location ? new URL(location).searchParams.get('code') : null;
}
