/**
 * Reads what a client sends to PostgreSQL (frontend messages, protocol 3.0) well enough to tell which
 * statement is about to run. Bytes are only looked at: whoever forwards them forwards them as they came.
 */
export interface StatementReader {
  /** @returns the texts of the statements that these bytes start, in their order */
  read(chunk: Buffer): string[];
}

const HEADER_BYTES = 5;

export function createStatementReader(): StatementReader {
  const prepared = new Map<string, string>();
  let pending: Buffer = Buffer.alloc(0);
  let started = false;

  return {
    read(chunk) {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      const statements: string[] = [];
      for (;;) {
        const message = started ? takeTyped() : takeStartup();
        if (message === undefined) return statements;
        const statement = statementOf(message);
        if (statement !== undefined) statements.push(statement);
      }
    },
  };

  /** The first messages have no type: a length, then a version or the code of a request. */
  function takeStartup(): Message | undefined {
    if (pending.length < 8) return undefined;
    const length = pending.readInt32BE(0);
    if (pending.length < length) return undefined;
    // 3.0 is the real start; requests for encryption are followed by another first message.
    started = pending.readInt32BE(4) >> 16 === 3;
    pending = pending.subarray(length);
    return { type: '', body: Buffer.alloc(0) };
  }

  function takeTyped(): Message | undefined {
    if (pending.length < HEADER_BYTES) return undefined;
    const end = 1 + pending.readInt32BE(1);
    if (pending.length < end) return undefined;
    const message = {
      type: String.fromCharCode(pending[0] ?? 0),
      body: pending.subarray(HEADER_BYTES, end),
    };
    pending = pending.subarray(end);
    return message;
  }

  /** Query runs a text, Parse names one, and Bind is the step before a named one runs. */
  function statementOf({ type, body }: Message): string | undefined {
    if (type === 'Q') return text(body, 0).value;
    if (type === 'P') {
      const name = text(body, 0);
      prepared.set(name.value, text(body, name.next).value);
      return undefined;
    }
    if (type !== 'B') return undefined;
    const portal = text(body, 0);
    return prepared.get(text(body, portal.next).value);
  }
}

interface Message {
  type: string;
  body: Buffer;
}

function text(body: Buffer, from: number): { value: string; next: number } {
  const end = body.indexOf(0, from);
  return { value: body.toString('utf8', from, end), next: end + 1 };
}
