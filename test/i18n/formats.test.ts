import assert from 'node:assert/strict';
import { createFormats } from '../../src/i18n/formats.ts';

describe('formats', () => {
  const now = new Date('2026-11-22T10:00:00Z');
  const english = createFormats('en');

  it('tell times that are past relatively', () => {
    const before = (seconds: number) => english.timeAgo(new Date(now.getTime() - seconds * 1000), now);

    assert.equal(before(0), 'now');
    assert.equal(before(-30), 'now');
    assert.equal(before(119), '1 minute ago');
    assert.equal(before(2 * 3600), '2 hours ago');
    assert.equal(before(86_400), 'yesterday');
    assert.equal(before(3 * 86_400), '3 days ago');
    assert.equal(before(800 * 86_400), '2 years ago');
  });

  it('never promise a shorter wait than there is', () => {
    assert.equal(english.duration(0), '1 second');
    assert.equal(english.duration(0.2), '1 second');
    assert.equal(english.duration(40), '40 seconds');
    assert.equal(english.duration(91), '2 minutes');
    assert.equal(english.duration(120), '2 minutes');
    assert.equal(english.duration(121), '3 minutes');
    assert.equal(english.duration(3 * 3600 - 1), '3 hours');
    assert.equal(english.duration(48 * 3600 + 1), '3 days');
  });

  it('say dates in UTC, and that they are', () => {
    assert.equal(english.date(now), '22 November 2026');
    assert.equal(english.dateTime(now), '22 Nov 2026, 10:00 UTC');
    assert.equal(createFormats('de').dateTime(now), '22. Nov. 2026, 10:00 UTC');
    assert.equal(english.list(['a', 'b', 'c']), 'a, b and c');
  });

  it('keep to the digits that codes and addresses have, in Arabic as well', () => {
    const arabic = createFormats('ar');

    assert.match(arabic.date(now), /22 نوفمبر 2026/);
    assert.equal(arabic.duration(120), 'دقيقتان');
    assert.equal(arabic.duration(600), '10 دقائق');
    assert.equal(arabic.timeAgo(new Date(now.getTime() - 3 * 86_400_000), now), 'قبل 3 أيام');
  });
});
