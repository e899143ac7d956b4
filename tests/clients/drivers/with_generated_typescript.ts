// A client with the types that openapi-typescript generated drives a session; prints
// what it got. `tsc --strict` checks it against those types before it runs.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

// Node's, without the package of its types.
declare const process: { argv: string[]; exit(code: number): void };

type RowAnswer = components["schemas"]["RowAnswer"];

const [url, model] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url });
const params = { path: { model } };

async function advance(sequence: string[], at?: number): Promise<RowAnswer> {
  const { data, error } = await client.POST("/v1/models/{model}:predict", {
    params,
    body: { instances: [{ sequence, session: "typescript", at }] },
  });
  if (!data) throw Object.assign(new Error(error.detail), error);
  const row = data.predictions?.[0];
  if (typeof row !== "object" || !("step" in row) || "code" in row) throw row;
  return row as RowAnswer;
}

async function main() {
  const steps: number[] = [];
  for (const events of [["squirrel"], ["bear", "tree"], ["blurry"]]) {
    steps.push((await advance(events)).step);
  }
  const refused = await advance(["bear"], 1).catch((error) => [
    error.status,
    error.code,
    error.step,
  ]);
  const bare = await client.POST("/v1/models/{model}:predict", {
    params,
    body: { instances: [["bear", "tree"]], return: "all" },
  });
  const explained = await client.POST("/v1/models/{model}:explain", {
    params,
    body: { instances: [{ sequence: ["tree"], session: "typescript" }] },
  });
  const session = { path: { model, id: "typescript" } };
  const state = await client.GET("/v1/models/{model}/sessions/{id}", {
    params: session,
  });
  const gone = await client.DELETE("/v1/models/{model}/sessions/{id}", {
    params: session,
  });
  const inferred = await client.POST("/v2/models/{model}/infer", {
    params,
    body: {
      inputs: [
        { name: "sequence", datatype: "BYTES", shape: [1, 2], data: ["bear", "tree"] },
      ],
      parameters: { sequence_id: "t", sequence_start: true },
    },
  });
  // Where binary tensors are asked for, the answer is bytes.
  const answer = inferred.data;
  if (!answer || typeof answer === "string") throw inferred.error;
  const forecast = await client.POST("/v1/models/{model}:forecast", {
    params,
    body: { instances: [["bear"]], horizon: 2 },
  });
  const row = explained.data?.predictions?.[0] as RowAnswer;
  const told = {
    steps: [...steps, row.step],
    refused,
    bare: bare.data?.predictions?.[0],
    state: state.data?.step,
    layers: row.layers?.length,
    deleted: gone.data?.deleted,
    infer: answer.outputs[0].data,
    forecast: forecast.error?.code ?? null,
  };
  console.log(JSON.stringify(told));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
