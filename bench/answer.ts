export interface Answer {
  status: number;
  headers: AnswerHeaders;
  body: string;
}

/** Names in lower case. */
export interface AnswerHeaders {
  /** The first of that name. */
  get(name: string): string | undefined;
  getAll(name: string): string[];
}

const END_OF_HEAD = '\r\n\r\n';
const BODILESS = new Set([204, 304]);

/**
 * @param bytes of one answer to a GET or POST, as far as it has come
 * @returns undefined while something is missing
 * @throws for what is no HTTP/1.1 or does not begin with its length, as every answer of the measured servers does
 */
export function readAnswer(bytes: Buffer): Answer | undefined {
  const endOfHead = bytes.indexOf(END_OF_HEAD);
  if (endOfHead === -1) return undefined;
  const head = bytes.toString('latin1', 0, endOfHead);
  const status = head.startsWith('HTTP/1.1 ') ? Number(head.slice(9, 12)) : Number.NaN;
  const headers = headersIn(head);
  const length = BODILESS.has(status) ? 0 : Number(headers.get('content-length') ?? Number.NaN);
  if (!Number.isInteger(status) || !Number.isInteger(length))
    throw new Error(`not an answer with a length: ${head.slice(0, 500)}`);

  const start = endOfHead + END_OF_HEAD.length;
  if (bytes.length < start + length) return undefined;
  return { status, headers, body: bytes.toString('utf8', start, start + length) };
}

/** Looks for what is asked for, instead of taking every line apart. */
function headersIn(head: string): AnswerHeaders {
  let lower: string | undefined;

  function find(name: string, from: number): { value: string; end: number } | undefined {
    lower ??= head.toLowerCase();
    const at = lower.indexOf(`\r\n${name}:`, from);
    if (at === -1) return undefined;
    const start = at + name.length + 3;
    const next = head.indexOf('\r\n', start);
    const end = next === -1 ? head.length : next;
    return { value: head.slice(start, end).trim(), end };
  }

  return {
    get: (name) => find(name, 0)?.value,
    getAll(name) {
      const values: string[] = [];
      for (let found = find(name, 0); found; found = find(name, found.end)) values.push(found.value);
      return values;
    },
  };
}

/** @throws with the answer, unless it has this status */
export function expectStatus(answer: Answer, status: number, what: string): Answer {
  if (answer.status === status) return answer;
  throw new UnexpectedAnswer(what, answer);
}

export class UnexpectedAnswer extends Error {
  readonly status: number;

  constructor(what: string, { status, headers, body }: Answer) {
    const location = headers.get('location');
    const to = location === undefined ? '' : ` to ${location}`;
    super(`${what}: unexpected answer ${status}${to}: ${body.slice(0, 500)}`);
    this.name = 'UnexpectedAnswer';
    this.status = status;
  }
}
