import { jsonOf } from './http-client.ts';
import type { Outcome } from './http-client.ts';

/** What came of many requests, as far as tests compare it. */
export interface Answer {
  what: string;
  outcome: Outcome;
}

/** Every way in which they were answered, once. */
export function tally(answers: readonly Answer[]): string[] {
  return [...new Set(answers.map(({ what, outcome }) => `${what}: ${nameOf(outcome)}`))].toSorted();
}

export function slowerThan(answers: readonly Answer[], milliseconds: number): string[] {
  return answers
    .filter(({ outcome }) => outcome.milliseconds > milliseconds)
    .map(({ what, outcome }) => `${what}: ${nameOf(outcome)} after ${Math.round(outcome.milliseconds)} ms`);
}

export function nameOf(outcome: Outcome): string {
  if (outcome.kind === 'refused') return 'connection refused';
  if (outcome.kind === 'lost') return `lost, ${outcome.reason}`;
  const json = jsonOf(outcome);
  // The API has problem details (RFC 9457), with codes of ours.
  const error = json['error'] ?? json['code'];
  const isPage = outcome.status !== 303 && outcome.headers['content-type']?.startsWith('text/html') === true;
  return [outcome.status, typeof error === 'string' ? error : isPage ? 'page' : ''].join(' ').trim();
}

/** Refusals that do not say when to come back. */
export function withoutRetryAfter(answers: readonly Answer[]): string[] {
  return tally(
    answers.filter(
      ({ outcome }) =>
        outcome.kind === 'answered' &&
        outcome.status === 503 &&
        !(Number(outcome.headers['retry-after']) > 0),
    ),
  );
}

/** How long it took; the given share of them, from 0 to 1, was not slower. */
export function percentile(answers: readonly Answer[], share: number): number {
  const sorted = answers.map(({ outcome }) => outcome.milliseconds).toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
