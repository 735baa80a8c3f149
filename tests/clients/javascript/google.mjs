// Google's JavaScript client: every case prints one line of JSON, `{case, …}`.
import { GoogleGenAI } from "@google/genai";
import { KEY, MODEL, SCHEMA, URL, documentData, imageData, parameters, report } from "./case.mjs";

const httpOptions = { baseUrl: URL, apiVersion: process.env.API_VERSION };
const { chats, models } = new GoogleGenAI({ apiKey: KEY, httpOptions });
const question = { model: MODEL, contents: "Hello" };
const tools = [
  { functionDeclarations: [{ name: "get_weather", parametersJsonSchema: parameters }] },
];

function countsOf(usage) {
  return { usage: usage.totalTokenCount, cached: usage.cachedContentTokenCount };
}

function answersOf(calls) {
  return calls.map(({ id, name }) => ({
    functionResponse: { id, name, response: { output: "sunny" } },
  }));
}

await report("plain", async () => {
  const answer = await models.generateContent(question);
  return { text: answer.text, ...countsOf(answer.usageMetadata) };
});

await report("streamed", async () => {
  let text = "";
  let usage = null;
  for await (const chunk of await models.generateContentStream(question)) {
    text += chunk.text ?? "";
    usage = chunk.usageMetadata ?? usage;
  }
  return { text, ...countsOf(usage) };
});

await report("tools", async () => {
  const chat = chats.create({ model: MODEL, config: { tools } });
  const asked = await chat.sendMessage({ message: "Weather?" });
  const answer = await chat.sendMessage({ message: answersOf(asked.functionCalls) });
  return { cities: asked.functionCalls.map((call) => call.args.city), text: answer.text };
});

await report("structure", async () => {
  const config = { responseMimeType: "application/json", responseJsonSchema: SCHEMA };
  const whole = await models.generateContent({ ...question, config });
  let streamed = "";
  for await (const chunk of await models.generateContentStream({ ...question, config })) {
    streamed += chunk.text ?? "";
  }
  return { whole: JSON.parse(whole.text), streamed: JSON.parse(streamed) };
});

await report("files", async () => {
  const picture = { inlineData: { mimeType: "image/png", data: imageData } };
  const document = { inlineData: { mimeType: "application/pdf", data: documentData } };
  const contents = ["What are they?", picture, document];
  return { text: (await models.generateContent({ model: MODEL, contents })).text };
});

await report("thoughts", async () => {
  const thinkingConfig = { includeThoughts: true, thinkingBudget: 2000 };
  const config = { tools, thinkingConfig, maxOutputTokens: 9000 };
  const chat = chats.create({ model: MODEL, config });
  const calls = [];
  let thought = "";
  for await (const chunk of await chat.sendMessageStream({ message: "Weather?" })) {
    calls.push(...(chunk.functionCalls ?? []));
    const parts = chunk.candidates[0].content.parts;
    thought += parts.map((part) => (part.thought ? part.text : "")).join("");
  }
  const answer = await chat.sendMessage({ message: answersOf(calls) });
  return { thought, text: answer.text };
});

await report("error", async () => {
  await models.generateContent(question);
});

await report("stop", async () => {
  const answer = await models.generateContent(question);
  return { reason: answer.candidates[0].finishReason };
});

await report("broken", async () => {
  for await (const chunk of await models.generateContentStream(question)) void chunk;
});

await report("left", async () => {
  const leaving = new AbortController();
  const config = { abortSignal: leaving.signal };
  for await (const chunk of await models.generateContentStream({ ...question, config })) {
    leaving.abort();
    return { text: typeof { chunk } };
  }
});

await report("vectors", async () => {
  const model = process.env.EMBEDDER;
  const contents = ["sea", "sky"];
  const found = await models.embedContent({ model, contents });
  const shorter = await models.embedContent({ model, contents, config: { outputDimensionality: 5 } });
  return {
    lengths: found.embeddings.map(({ values }) => values.length),
    shorter: shorter.embeddings.map(({ values }) => values.length),
  };
});

await report("count", async () => {
  return { tokens: (await models.countTokens(question)).totalTokens };
});

await report("models", async () => {
  const names = [];
  for await (const { name } of await models.list()) names.push(name);
  const paged = [];
  for await (const { name } of await models.list({ config: { pageSize: 5 } })) paged.push(name);
  return { names, paged, one: (await models.get({ model: MODEL })).name };
});

await report("missing", async () => {
  await models.generateContent({ model: "no-such/model", contents: "Hello" });
});
