import { setTimeout as delay } from 'node:timers/promises';
import type { Answer } from './answers.ts';
import { createBalancer } from './balancer.ts';
import type { ClientJob, ToClients } from './client-process.ts';
import type { RepeatedRequest } from './requests.ts';
import { sendRepeated } from './send-repeated.ts';

/** Clients in a process of their own (client-process.ts). */
const stop = new AbortController();

process.on('disconnect', () => process.exit());
process.on('message', (message: ToClients) => {
  if (message.type === 'stop') stop.abort();
  else void work(message.job).then((answers) => process.send?.(answers, () => process.exit()));
});

async function work(job: ClientJob): Promise<Answer[]> {
  const balancer = createBalancer(job);
  const answers: Answer[] = [];
  const { pace, requests } = job;

  const send = (repeated: RepeatedRequest) => sendRepeated(balancer, repeated, answers);

  async function insist(request: RepeatedRequest, mostTries: number): Promise<void> {
    for (let tries = 0; tries < mostTries; tries += 1) {
      const { outcome } = await send(request);
      if (outcome.kind !== 'answered' || outcome.status !== 503) return;
      await delay(Number(outcome.headers['retry-after']) * 1000);
    }
  }

  async function sendSteadily(perSecond: number): Promise<void> {
    const startedAt = performance.now();
    const sent: Promise<Answer>[] = [];
    while (!stop.signal.aborted) {
      const request = requests[sent.length % requests.length];
      if (request) sent.push(send(request));
      await delay(Math.max(0, startedAt + (sent.length * 1000) / perSecond - performance.now()));
    }
    await Promise.all(sent);
  }

  if (pace.kind === 'steadily') await sendSteadily(pace.perSecond);
  else await Promise.all(requests.map((request) => insist(request, pace.mostTries)));
  balancer.close();
  return answers;
}
