/** Which form of the tests runs, as test/faults/run.ts was told. */
const isLong = Boolean(process.env['FAULTS_LONG']);

/** What everything random follows from. */
export const seed = Number(process.env['FAULTS_SEED'] ?? 1);

/** One figure for every change, another for every release. */
export function inForm<Value>({ short, long }: { short: Value; long: Value }): Value {
  return isLong ? long : short;
}
