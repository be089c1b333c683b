import assert from 'node:assert/strict';
import { describeScopes } from '../../src/interactions/scope-texts.ts';
import { timeAgo, waitText } from '../../src/interactions/time-texts.ts';

describe('the texts of scopes', () => {
  const scope = (name: string, description: string | null = null) => ({ name, description, isNew: false });

  it('say the standard ones in plain words, what lasts apart', () => {
    const sections = describeScopes([scope('openid'), scope('offline_access'), scope('email')]);

    assert.deepEqual(
      sections.map(({ kind, items }) => [kind, items.map(({ text }) => text)]),
      [
        ['read', ['Your account ID, to recognize you', 'Your email address']],
        ['keep', ['Keep this access when you are not using the app']],
      ],
    );
  });

  it('call reading only what surely changes nothing', () => {
    const kindOf = (name: string) => describeScopes([scope(name)])[0]?.kind;

    for (const name of ['read', 'invoices:read', 'calendar.readonly', 'files/list', 'view_orders'])
      assert.equal(kindOf(name), 'read', name);
    for (const name of ['write', 'invoices:write', 'already', 'readwrite', 'getaway', 'admin', 'constructor'])
      assert.equal(kindOf(name), 'change', name);
  });

  it("use the API's own words, and the name where there are none", () => {
    const [section] = describeScopes([scope('a:write', 'Change a'), scope('b:write'), scope('c:write', '')]);

    assert.deepEqual(
      section?.items.map(({ text }) => text),
      ['Change a', 'b:write', 'c:write'],
    );
  });
});

describe('the texts of times', () => {
  const now = new Date('2026-11-22T10:00:00Z');
  const before = (seconds: number) => timeAgo(new Date(now.getTime() - seconds * 1000), now);

  it('are relative', () => {
    assert.equal(before(0), 'just now');
    assert.equal(before(-30), 'just now');
    assert.equal(before(119), '1 minute ago');
    assert.equal(before(2 * 3600), '2 hours ago');
    assert.equal(before(86_400), 'yesterday');
    assert.equal(before(3 * 86_400), '3 days ago');
    assert.equal(before(800 * 86_400), '2 years ago');
  });

  it('never promise a shorter wait than there is', () => {
    assert.equal(waitText(0), '1 second');
    assert.equal(waitText(0.2), '1 second');
    assert.equal(waitText(40), '40 seconds');
    assert.equal(waitText(91), '2 minutes');
    assert.equal(waitText(120), '2 minutes');
    assert.equal(waitText(121), '3 minutes');
  });
});
