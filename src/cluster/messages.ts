/** What the primary process and its workers tell each other. */
export type ToWorker =
  /** Ask everybody to go elsewhere, until the primary disconnects; then finish what is under way, and end. */
  { type: 'drain' } | Question | Answer;

export type ToPrimary =
  /** It serves. */
  | { type: 'ready'; port: number }
  /** It changes the schema or waits for who does, which takes as long as it takes. */
  | { type: 'migrating'; isUnderWay: boolean }
  | Question
  | Answer;

export interface Question {
  type: 'question';
  id: number;
  /** What is asked for; the other side knows what to do with the value. */
  topic: string;
  value: unknown;
}

export interface Answer {
  type: 'answer';
  id: number;
  value: unknown;
}

/** One end of the line: a worker as the primary sees it, or the primary as a worker sees it. */
export interface Line {
  send(message: unknown): void;
  onMessage(listener: (message: Question | Answer) => void): void;
}

/** What is answered here, by topic. */
export type Topics = Readonly<Record<string, (value: unknown) => unknown>>;

const ANSWER_TIMEOUT_MS = 1_000;

/**
 * Questions and answers over a line, in both directions.
 * @returns how to ask; the promise is rejected when no answer comes within a second
 */
export function converse(
  line: Line,
  topics: Topics = {},
): (topic: string, value?: unknown) => Promise<unknown> {
  const waiting = new Map<number, (value: unknown) => void>();
  let last = 0;

  line.onMessage((message) => {
    if (message.type === 'answer') waiting.get(message.id)?.(message.value);
    else if (message.type === 'question') void answer(message);
  });

  async function answer({ id, topic, value }: Question): Promise<void> {
    // Whoever asks can do without the answer, or it would not be asked for over this line.
    const find = async () => topics[topic]?.(value);
    line.send({ type: 'answer', id, value: await find().catch(() => undefined) });
  }

  return async (topic, value) => {
    const id = (last += 1);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => reject(new Error(`no answer about ${topic}`)), ANSWER_TIMEOUT_MS);
    waiting.set(id, resolve);
    try {
      line.send({ type: 'question', id, topic, value });
      return await promise;
    } finally {
      clearTimeout(timer);
      waiting.delete(id);
    }
  };
}
