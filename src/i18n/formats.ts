/** Times, durations and lists in the words of a language. The formatters are made when first used, and kept. */
export interface Formats {
  /** Such as `3 hours ago`, `yesterday`, `now`. Relative, because the server knows nobody's time zone. */
  timeAgo: (date: Date, now: Date) => string;
  /** How long to wait, rounded up so that trying then works: `40 seconds`, `2 minutes`, `3 hours`, `2 days`. */
  duration: (seconds: number) => string;
  /** A day and time in UTC, and says so: `25 Nov 2026, 21:40 UTC`. */
  dateTime: (date: Date) => string;
  /** `25 November 2026` in UTC. */
  date: (date: Date) => string;
  /** `a, b and c`. */
  list: (items: readonly string[]) => string;
}

const UNITS = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
] as const;

/** Digits are the same in every language, as those of codes and addresses are. */
export function formattingLocale(locale: string): string {
  // British order and clock for English that has no region: unlike the American ones they are read alike everywhere.
  return `${locale === 'en' ? 'en-GB' : locale}-u-nu-latn`;
}

export function createFormats(locale: string): Formats {
  const tag = formattingLocale(locale);
  const relative = lazy(() => new Intl.RelativeTimeFormat(tag, { numeric: 'auto' }));
  const lists = lazy(() => new Intl.ListFormat(tag, { type: 'conjunction' }));
  const days = lazy(() => new Intl.DateTimeFormat(tag, { dateStyle: 'long', timeZone: 'UTC' }));
  const times = lazy(
    () =>
      new Intl.DateTimeFormat(tag, {
        year: 'numeric',
        month: 'short',
        day: 'numeric',
        hour: '2-digit',
        minute: '2-digit',
        timeZone: 'UTC',
        timeZoneName: 'short',
      }),
  );
  const counts = new Map<string, Intl.NumberFormat>();

  function count(amount: number, unit: string): string {
    const known = counts.get(unit);
    const format = known ?? new Intl.NumberFormat(tag, { style: 'unit', unit, unitDisplay: 'long' });
    if (!known) counts.set(unit, format);
    return format.format(amount);
  }

  return {
    timeAgo(date, now) {
      const elapsed = (now.getTime() - date.getTime()) / 1000;
      const [unit, seconds] = UNITS.find(([, size]) => elapsed >= size) ?? [];
      return unit ? relative().format(-Math.floor(elapsed / seconds), unit) : relative().format(0, 'second');
    },

    duration(seconds) {
      if (seconds <= 90) return count(Math.max(1, Math.ceil(seconds)), 'second');
      if (seconds <= 90 * 60) return count(Math.ceil(seconds / 60), 'minute');
      if (seconds <= 48 * 3600) return count(Math.ceil(seconds / 3600), 'hour');
      return count(Math.ceil(seconds / 86_400), 'day');
    },

    dateTime: (date) => times().format(date),
    date: (date) => days().format(date),
    list: (items) => lists().format(items),
  };
}

function lazy<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
