/** The same promises over every release that is named in the README, one server at a time. */
import { searchServerContract } from '../contract/search-server.contract.ts'
import { startElasticsearch } from '../stack/elasticsearch.ts'
import { startOpensearch } from '../stack/opensearch.ts'

for (const version of ['9', '8', '7'])
  searchServerContract(`Elasticsearch ${version}`, (options) => startElasticsearch({ ...options, version }))
for (const version of ['3', '2', '1'])
  searchServerContract(`OpenSearch ${version}`, (options) => startOpensearch({ ...options, version }))
