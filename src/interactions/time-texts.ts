/** Times in words. Relative ones, because the server does not know the time zone of who reads them. */

const UNITS = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
] as const;

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/** Such as `3 hours ago`, `yesterday`, `just now`. */
export function timeAgo(date: Date, now: Date): string {
  const elapsed = (now.getTime() - date.getTime()) / 1000;
  const [unit, seconds] = UNITS.find(([, size]) => elapsed >= size) ?? [];
  return unit ? relative.format(-Math.floor(elapsed / seconds), unit) : 'just now';
}

/** How long to wait, rounded up so that trying then works: `40 seconds`, `2 minutes`. */
export function waitText(seconds: number): string {
  return seconds <= 90
    ? count(Math.max(1, Math.ceil(seconds)), 'second')
    : count(Math.ceil(seconds / 60), 'minute');
}

function count(amount: number, unit: string): string {
  return `${amount} ${unit}${amount === 1 ? '' : 's'}`;
}
