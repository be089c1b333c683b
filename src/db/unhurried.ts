/**
 * A part of a `WITH`, for statements whose loss in a crash of the database costs next to nothing: the others, who wait
 * for the disk, then wait less. Whatever else the statement does has to come from it, or may be planned before it.
 */
export const UNHURRIED = `unhurried AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))`;
