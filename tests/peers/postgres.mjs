// PostgreSQL with pgvector, within this process: answers the queries of standard input, a JSON string a line, with a line each:
// {"rows": [["text" or null, ...], ...], "types": [oid, ...]} or {"error": "..."}.
//
// usage: node postgres.mjs FOLDER    where FOLDER holds node_modules with @electric-sql/pglite and @electric-sql/pglite-pgvector

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.argv[2] + "/"));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { PGlite } = await load("@electric-sql/pglite");
const { vector } = await load("@electric-sql/pglite-pgvector");

// All values stay the text that PostgreSQL sends.
const parsers = Object.fromEntries(Array.from({ length: 16384 }, (_, oid) => [oid, (text) => text]));
const db = await PGlite.create({ extensions: { vector } });
await db.exec("CREATE EXTENSION vector; SET TIME ZONE 'UTC'");

for await (const line of createInterface({ input: process.stdin })) {
  let told;
  try {
    const answer = await db.query(JSON.parse(line), [], { rowMode: "array", parsers });
    told = { rows: answer.rows, types: answer.fields.map((field) => field.dataTypeID) };
  } catch (error) {
    told = { error: error.message };
  }
  process.stdout.write(JSON.stringify(told) + "\n");
}
process.exit(0);
