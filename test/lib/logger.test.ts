import assert from 'node:assert/strict';
import { AppError } from '../../src/lib/errors.ts';
import { memoryLog } from '../http/support.ts';

function logged(fields: object): Record<string, unknown> {
  const { log, lines } = memoryLog();
  log.error(fields, 'message');
  return lines[0] ?? {};
}

describe('a log line', () => {
  it('is JSON with level, time and message, and no host or process', () => {
    const { time, ...fields } = logged({ code: 'x' });

    assert.deepEqual(fields, { level: 'error', code: 'x', msg: 'message' });
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it('stays one line, whatever a field holds', () => {
    const { log, lines } = memoryLog();

    log.info({ value: 'a\r\n{"level":"fatal","msg":"forged"}\u2028\x1b[31m' }, 'b\r\nc');

    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.msg, 'b\r\nc');
  });

  it('is left out below the level', () => {
    const { log, lines } = memoryLog('warn');

    log.info('quiet');
    log.warn('loud');

    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ['loud'],
    );
  });

  it('tells type, message, stack and code of an error and of its causes', () => {
    const cause = Object.assign(new TypeError('inner'), { code: 'ECONNREFUSED' });

    const { err } = logged({ err: new AppError('door.locked', 409, 'The door is locked.', { cause }) });

    assert.partialDeepStrictEqual(err, {
      type: 'AppError',
      message: 'The door is locked.',
      code: 'door.locked',
      status: 409,
      cause: { type: 'TypeError', message: 'inner', code: 'ECONNREFUSED' },
    });
    assert.match(JSON.stringify(err), /logger\.test\.ts/);
  });

  it('tells the errors of an aggregate', () => {
    const { err } = logged({ err: new AggregateError([new Error('one'), new Error('two')], 'both') });

    assert.partialDeepStrictEqual(err, { errors: [{ message: 'one' }, { message: 'two' }] });
  });

  it('survives causes in a circle', () => {
    const err = new Error('circle');
    err.cause = err;

    assert.equal(logged({ err }).msg, 'message');
  });

  const secretive: [name: string, fields: object][] = [
    ['the body a parser attached', { err: Object.assign(new SyntaxError('bad'), { body: 'canary' }) }],
    [
      'the request an HTTP client attached',
      { err: Object.assign(new Error('bad'), { options: { headers: { authorization: 'canary' } } }) },
    ],
    [
      'the row PostgreSQL quotes',
      { err: Object.assign(new Error('bad'), { detail: 'Key (email)=(canary) exists', where: 'canary' }) },
    ],
    ['the bindings of a query', { err: Object.assign(new Error('bad'), { bindings: ['canary'] }) }],
    [
      'a secret on a cause',
      { err: new Error('bad', { cause: Object.assign(new Error('worse'), { token: 'canary' }) }) },
    ],
    ['a cause that is no error', { err: new Error('bad', { cause: { password: 'canary' } }) }],
    ['a thrown object', { err: { password: 'canary', message: 'canary' } }],
    ['a thrown string', { err: 'canary' }],
    ['an object as the code', { err: Object.assign(new Error('bad'), { code: { secret: 'canary' } }) }],
    ['a field named password', { password: 'canary' }],
    ['a field named token', { token: 'canary' }],
    ['a field named secret, one level down', { client: { secret: 'canary' } }],
    ['an authorization header', { headers: { authorization: 'canary', cookie: 'canary' } }],
  ];
  for (const [name, fields] of secretive) {
    it(`does not hold ${name}`, () => {
      assert.doesNotMatch(JSON.stringify(logged(fields)), /canary/);
    });
  }

  it('of a child keeps the rules of its parent', () => {
    const { log, lines } = memoryLog();

    log.child({ correlationId: 'abc', token: 'canary' }).error({ password: 'canary' }, 'message');

    assert.equal(lines[0]?.['correlationId'], 'abc');
    assert.doesNotMatch(JSON.stringify(lines), /canary/);
  });
});
