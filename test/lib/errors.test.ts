import assert from 'node:assert/strict';
import { AppError, defineErrors } from '../../src/lib/errors.ts';

const fail = defineErrors('door', {
  locked: { status: 409, message: 'The door is locked.' },
  busy: { status: 503, message: 'Somebody is in the door.' },
});

describe('a defined error', () => {
  it('has its prefix in the code, its status and its message', () => {
    const err = fail('locked');

    assert.ok(err instanceof AppError);
    assert.equal(err.code, 'door.locked');
    assert.equal(err.status, 409);
    assert.equal(err.message, 'The door is locked.');
    assert.deepEqual(err.errors, []);
    assert.equal(err.retryAfterSeconds, undefined);
    assert.equal('cause' in err, false);
  });

  it('carries what one occasion adds', () => {
    const cause = new Error('hinge');
    const errors = [{ path: '/door', message: 'is stuck' }];

    const err = fail('busy', { message: 'Wait.', cause, errors, retryAfterSeconds: 5 });

    assert.equal(err.message, 'Wait.');
    assert.equal(err.cause, cause);
    assert.equal(err.errors, errors);
    assert.equal(err.retryAfterSeconds, 5);
  });
});
