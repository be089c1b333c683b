import assert from 'node:assert/strict';
import { claimsOf } from '../../src/users/user-claims.ts';
import type { User } from '../../src/users/user.ts';

const user: User = {
  id: '0190b0a0-0000-7000-8000-000000000000',
  tenantId: '0190b0a0-0000-7000-8000-000000000001',
  status: 'active',
  lockCause: null,
  lockedUntil: null,
  email: 'ana@example.com',
  emailVerifiedAt: null,
  accessVersion: 0,
  createdAt: new Date(1_000_500),
  updatedAt: new Date(2_000_500),
};

describe('claims of a user', () => {
  it('says the address as stored and verified only when it was', () => {
    const profile = { claims: {}, updatedAt: null };

    const unverified = claimsOf(user, profile);
    const verified = claimsOf({ ...user, emailVerifiedAt: new Date() }, profile);

    assert.deepEqual(unverified, { email: 'ana@example.com', email_verified: false, updated_at: 2000 });
    assert.equal(verified['email_verified'], true);
  });

  it('adds the profile, and dates everything by the later change, in whole seconds', () => {
    const profile = { claims: { name: 'Ana', locale: 'es' }, updatedAt: new Date(3_000_999) };

    const claims = claimsOf(user, profile);

    assert.equal(claims['name'], 'Ana');
    assert.equal(claims['locale'], 'es');
    assert.equal(claims['updated_at'], 3000);
  });

  it('never says that a telephone number was verified', () => {
    const claims = claimsOf(user, { claims: { phone_number: '+34600000000' }, updatedAt: null });

    assert.equal(claims['phone_number_verified'], false);
  });
});
