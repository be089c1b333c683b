import { parentPort } from 'node:worker_threads';
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary } from '@zxcvbn-ts/language-common';
import type { Estimate, Question } from './password-estimator.ts';

/** The other side of password-estimator.ts, in a thread of its own. */
const factory = new ZxcvbnFactory({ dictionary, graphs: adjacencyGraphs });

parentPort?.on('message', ({ id, texts }: Question) => {
  const guessesLog10 = texts.map((text) => factory.check(text).guessesLog10);
  parentPort?.postMessage({ id, guessesLog10 } satisfies Estimate);
});
