import { checkHistory } from './check-history.ts';
import type { Violation } from './check-history.ts';
import type { Promises } from './ends.ts';
import { subjectOf } from './history-index.ts';
import type { HistoryRecord } from './record.ts';

/**
 * Leaves items out while what is left still fails: halves first, then ever smaller parts (delta
 * debugging).
 * @param fails asked at most as often as the budget says; a failure that is not certain is asked for again by the caller
 */
export async function shrink<Item>(
  items: readonly Item[],
  fails: (items: Item[]) => boolean | Promise<boolean>,
  budget = Number.POSITIVE_INFINITY,
): Promise<Item[]> {
  let left = [...items];
  let asked = 0;
  for (let size = Math.ceil(left.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < left.length && left.length > 1; ) {
      if (asked >= budget) return left;
      asked += 1;
      const without = left.toSpliced(from, size);
      if (without.length > 0 && (await fails(without))) left = without;
      else from += size;
    }
  }
  return left;
}

/**
 * The records without which the violation could not be seen, and what else was done with the same token.
 * Leaving out what happened cannot make a rule stricter on the record that broke it in the whole history,
 * so it is the same violation.
 */
export async function shrinkHistory(
  records: readonly HistoryRecord[],
  { rule, record }: Violation,
  promises: Promises,
): Promise<HistoryRecord[]> {
  const kept = records.filter((one) => one === record || subjectOf(one) === subjectOf(record));
  const others = records.filter((one) => !kept.includes(one));
  const needed = await shrink(others, (some) =>
    checkHistory([...kept, ...some], promises).some(
      (found) => found.rule === rule && found.record.id === record.id,
    ),
  );
  return [...kept, ...needed];
}
