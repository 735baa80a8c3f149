// The AI SDK with one of its providers, named by PROVIDER: one line of JSON a case, `{case, …}`.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { KEY, MODEL, SCHEMA, URL, documentData, imageData, parameters, report } from "./case.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const settings = { apiKey: KEY, baseURL: `${URL}/v1` };
const makers = {
  anthropic: () => createAnthropic(settings)(MODEL),
  openai: () => createOpenAI(settings)(MODEL),
  compatible: () =>
    createOpenAICompatible({
      ...settings,
      name: "gateway",
      includeUsage: true,
      supportsStructuredOutputs: true,
    })(MODEL),
};
const options = { model: makers[process.env.PROVIDER](), maxRetries: 0 };
const asked = [];
const tools = {
  get_weather: tool({
    description: "Tell the weather of a city",
    inputSchema: jsonSchema(parameters),
    execute: async ({ city }) => {
      asked.push(city);
      return "sunny";
    },
  }),
};

function countsOf(usage) {
  return { usage: usage.totalTokens, cached: usage.inputTokenDetails.cacheReadTokens };
}

await report("plain", async () => {
  const { text, usage } = await generateText({ ...options, prompt: "Hello" });
  return { text, ...countsOf(usage) };
});

await report("streamed", async () => {
  const result = streamText({ ...options, prompt: "Hello", onError: () => {} });
  let text = "";
  for await (const piece of result.textStream) text += piece;
  return { text, ...countsOf(await result.usage) };
});

await report("tools", async () => {
  const stopWhen = stepCountIs(2);
  const result = streamText({ ...options, prompt: "Weather?", tools, stopWhen, onError: () => {} });
  return { text: await result.text, cities: asked };
});

await report("structure", async () => {
  const asked = { ...options, prompt: "Hello", output: Output.object({ schema: jsonSchema(SCHEMA) }) };
  const whole = await generateText(asked);
  const streamed = streamText({ ...asked, onError: () => {} });
  return { whole: whole.output, streamed: await streamed.output };
});

await report("files", async () => {
  const content = [
    { type: "text", text: "What are they?" },
    { type: "file", data: imageData, mediaType: "image/png" },
    { type: "file", data: documentData, mediaType: "application/pdf", filename: "a.pdf" },
  ];
  const { text } = await generateText({ ...options, messages: [{ role: "user", content }] });
  return { text };
});

await report("error", async () => {
  await generateText({ ...options, prompt: "Hello" });
});

await report("stop", async () => {
  const { finishReason } = await generateText({ ...options, prompt: "Hello" });
  return { reason: finishReason };
});

await report("broken", async () => {
  const found = [];
  const result = streamText({ ...options, prompt: "Hello", onError: ({ error }) => found.push(error) });
  for await (const piece of result.textStream) void piece;
  if (found.length) throw found[0];
});

await report("left", async () => {
  const leaving = new AbortController();
  const abortSignal = leaving.signal;
  const result = streamText({ ...options, prompt: "Hello", abortSignal, onError: () => {} });
  for await (const piece of result.textStream) {
    leaving.abort();
    return { text: typeof { piece } };
  }
});
