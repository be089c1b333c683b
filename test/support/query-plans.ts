import type { Knex } from 'knex';
import { sentDuring } from './sent-statements.ts';

/** Whose rows are as many as there are tenants, clients, keys or requests under way. */
export const SMALL_TABLES = [
  'tenants',
  'clients',
  'client_secrets',
  'resources',
  'signing_keys',
  'roles',
  'role_assignments',
];

/** Statements as PostgreSQL gets them while the work runs, each once. */
export async function statementsOf(db: Knex, work: () => Promise<unknown>): Promise<string[]> {
  const texts = new Set(await sentDuring(db, work));
  return [...texts].filter((text) => /^\s*(WITH|SELECT|INSERT|UPDATE|DELETE)/i.test(text));
}

interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Index Cond'?: string;
  Filter?: string;
  Plans?: PlanNode[];
}

/**
 * Where the generic plan reads more than it was asked for: tables from end to end, and indexes by what a large part of
 * the rows have in common (the tenant, or what is not over yet), unless a limit ends that.
 * @param ignored tables that stay small
 * @param options.avoidsScans whether the planner is told to rather take any index
 */
export async function wideReads(
  db: Knex,
  statement: string,
  ignored: readonly string[] = [],
  { avoidsScans = false } = {},
): Promise<string[]> {
  const plan = await planOf(db, statement, avoidsScans);
  const predicates = await predicatesOf(db);
  return readsOf(plan, { table: undefined, isLimited: false, predicates })
    .filter(({ table }) => !ignored.includes(table))
    .map(({ what }) => what);
}

async function planOf(db: Knex, statement: string, avoidsScans: boolean): Promise<PlanNode> {
  return db.transaction(async (trx) => {
    if (avoidsScans) await trx.raw('SET LOCAL enable_seqscan = off');
    await trx.raw('SET LOCAL plan_cache_mode = force_generic_plan');
    // Escaped, since knex takes question marks for its own.
    await trx.raw(`PREPARE plan_of AS ${statement.replaceAll('?', '\\?')}`);
    const { rows } = await trx.raw(
      "SELECT coalesce(array_length(parameter_types, 1), 0) AS count FROM pg_prepared_statements WHERE name = 'plan_of'",
    );
    const nulls = Array.from({ length: rows[0].count }, () => 'NULL').join(', ');
    const explained = await trx.raw(`EXPLAIN (FORMAT JSON) EXECUTE plan_of${nulls ? `(${nulls})` : ''}`);
    await trx.raw('DEALLOCATE plan_of');
    const [{ Plan: plan }]: [{ Plan: PlanNode }] = explained.rows[0]['QUERY PLAN'];
    return plan;
  });
}

/** What the rows of partial indexes have in common, by the index. */
async function predicatesOf(db: Knex): Promise<Map<string, string>> {
  const { rows } = await db.raw<{ rows: { name: string; predicate: string }[] }>(
    `SELECT indexrelid::regclass::text AS name, pg_get_expr(indpred, indrelid) AS predicate
       FROM pg_index WHERE indpred IS NOT NULL`,
  );
  return new Map(rows.map(({ name, predicate }) => [name, predicate]));
}

/** What a node takes over from those above it. */
interface Above {
  /** Of a bitmap's heap scan; its index scans do not name it. */
  table: string | undefined;
  /** Only so many of its rows are asked for, in the order in which they come. */
  isLimited: boolean;
  predicates: ReadonlyMap<string, string>;
}

function readsOf(node: PlanNode, above: Above): { table: string; what: string }[] {
  const kind = node['Node Type'];
  const table = node['Relation Name'] ?? above.table ?? '';
  const below = (node.Plans ?? []).flatMap((plan) =>
    readsOf(plan, {
      predicates: above.predicates,
      table: node['Relation Name'],
      isLimited: kind === 'Limit' || (above.isLimited && PASSING_ON.has(kind)),
    }),
  );
  if (kind === 'Seq Scan') return [{ table, what: `${table} from end to end` }, ...below];
  if (!kind.includes('Index')) return below;

  const condition = node['Index Cond'] ?? '';
  // Where rows are locked, what all rows of the index have in common is asked of each of them once more.
  const isFiltered =
    node.Filter !== undefined && node.Filter !== above.predicates.get(node['Index Name'] ?? '');
  const endsEarly = above.isLimited && !isFiltered && !kind.startsWith('Bitmap');
  if (endsEarly || isNarrow(condition)) return below;
  return [{ table, what: `${node['Index Name']} by ${condition || 'nothing'}` }, ...below];
}

/** Ask for no more of their input than is asked of them. */
const PASSING_ON = new Set(['LockRows', 'Result', 'Subquery Scan', 'Append', 'Merge Append', 'Nested Loop']);
/** Columns in which a large part of a table has the same value. */
const BROAD = new Set(['tenant_id', 'model', 'status', 'purpose', 'type', 'target_type', 'actor_type']);

/** Whether one part of the condition is about something that few rows have. */
function isNarrow(condition: string): boolean {
  return condition.split(' AND ').some((part) => {
    // A column, or an expression such as lower(email).
    const [, column = '', operator = ''] =
      /^\(*(?:lower\(\(?)?(\w+)\)?(?:::\w+)?\)? ([<>=~]+)/.exec(part) ?? [];
    if (BROAD.has(column)) return false;
    if (operator === '=') return true;
    // What is due or over is removed; what is still to come is most of a table.
    return /_(at|until)$/.test(column) && operator.startsWith('<');
  });
}
