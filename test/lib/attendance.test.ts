import assert from 'node:assert/strict';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createAttendance } from '../../src/lib/attendance.ts';

describe('an attendance', () => {
  it('is whoever has come and not left, in whatever order they leave', () => {
    const attendance = createAttendance<string>();
    const leave = new Map(['a', 'b', 'c', 'd'].map((name) => [name, attendance.enter(name)]));

    leave.get('b')?.();
    leave.get('d')?.();
    attendance.enter('e');
    leave.get('a')?.();

    assert.deepEqual(attendance.present().toSorted(), ['c', 'e']);
  });

  it('lets go of those who have left without a full collection', () => {
    const attendance = createAttendance<object>();
    const leaving: (() => void)[] = [];
    const pass = (count: number) => {
      for (let turn = 0; turn < count; turn += 1) {
        leaving.push(attendance.enter(Array.from({ length: 100 }, () => turn)));
        if (leaving.length > 30) leaving.shift()?.();
      }
    };
    pass(1000);
    collectAll();
    const before = oldSpaceMegabytes();

    pass(50_000);

    const passedMegabytes = (50_000 * 800) / 2 ** 20;
    assert.ok(oldSpaceMegabytes() - before < passedMegabytes / 10);
  });
});

function collectAll(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

function oldSpaceMegabytes(): number {
  const old = getHeapSpaceStatistics().find((space) => space.space_name === 'old_space');
  return (old?.space_used_size ?? Number.NaN) / 2 ** 20;
}
