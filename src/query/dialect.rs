//! PostgreSQL's dialect, with `SELECT * EXCLUDE (...)` and `MAP {'key': value}`.

use std::any::TypeId;

use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

/// The dialect that queries are written in.
#[derive(Debug)]
pub struct Postgres(PostgreSqlDialect);

/// One for all.
pub const DIALECT: Postgres = Postgres(PostgreSqlDialect {});

/// Each method that PostgreSQL's dialect has of its own is handed on: sqlparser's macro for that works inside of its own crate alone.
impl Dialect for Postgres {
    fn dialect(&self) -> TypeId {
        self.0.dialect()
    }

    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }

    fn support_map_literal_syntax(&self) -> bool {
        true
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.0.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.0.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.0.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.0.is_identifier_part(ch)
    }

    fn supports_unicode_string_literal(&self) -> bool {
        self.0.supports_unicode_string_literal()
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        self.0.is_reserved_for_identifier(kw)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        self.0.is_custom_operator_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        self.0.get_next_precedence(parser)
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        self.0.supports_filter_during_aggregation()
    }

    fn supports_group_by_expr(&self) -> bool {
        self.0.supports_group_by_expr()
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        self.0.prec_value(prec)
    }

    fn allow_extract_custom(&self) -> bool {
        self.0.allow_extract_custom()
    }

    fn allow_extract_single_quotes(&self) -> bool {
        self.0.allow_extract_single_quotes()
    }

    fn supports_create_index_with_clause(&self) -> bool {
        self.0.supports_create_index_with_clause()
    }

    fn supports_explain_with_utility_options(&self) -> bool {
        self.0.supports_explain_with_utility_options()
    }

    fn supports_listen_notify(&self) -> bool {
        self.0.supports_listen_notify()
    }

    fn supports_factorial_operator(&self) -> bool {
        self.0.supports_factorial_operator()
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        self.0.supports_bitwise_shift_operators()
    }

    fn supports_comment_on(&self) -> bool {
        self.0.supports_comment_on()
    }

    fn supports_load_extension(&self) -> bool {
        self.0.supports_load_extension()
    }

    fn supports_named_fn_args_with_colon_operator(&self) -> bool {
        self.0.supports_named_fn_args_with_colon_operator()
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        self.0.supports_named_fn_args_with_expr_name()
    }

    fn supports_empty_projections(&self) -> bool {
        self.0.supports_empty_projections()
    }

    fn supports_nested_comments(&self) -> bool {
        self.0.supports_nested_comments()
    }

    fn supports_string_escape_constant(&self) -> bool {
        self.0.supports_string_escape_constant()
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        self.0.supports_numeric_literal_underscores()
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        self.0.supports_array_typedef_with_brackets()
    }

    fn supports_geometric_types(&self) -> bool {
        self.0.supports_geometric_types()
    }

    fn supports_set_names(&self) -> bool {
        self.0.supports_set_names()
    }

    fn supports_alter_column_type_using(&self) -> bool {
        self.0.supports_alter_column_type_using()
    }

    fn supports_notnull_operator(&self) -> bool {
        self.0.supports_notnull_operator()
    }

    fn supports_interval_options(&self) -> bool {
        self.0.supports_interval_options()
    }

    fn supports_insert_table_alias(&self) -> bool {
        self.0.supports_insert_table_alias()
    }

    fn supports_create_table_like_parenthesized(&self) -> bool {
        self.0.supports_create_table_like_parenthesized()
    }

    fn supports_select_wildcard_with_alias(&self) -> bool {
        self.0.supports_select_wildcard_with_alias()
    }

    fn supports_comma_separated_trim(&self) -> bool {
        self.0.supports_comma_separated_trim()
    }

    fn supports_xml_expressions(&self) -> bool {
        self.0.supports_xml_expressions()
    }

    fn supports_comment_optimizer_hint(&self) -> bool {
        self.0.supports_comment_optimizer_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_exclude_and_map_is_read_as_postgresql_reads_it() {
        for sql in [
            "SELECT /* a /* b */ c */ 1_000, E'\\n', U&'\\0041', $$x$$, 5!, a << 2, ~a, @a, |/ a, a # b, a ^ b",
            "SELECT j -> 'a' ->> 'b', j #> '{a,b}', j @> '{}', j ? 'a', j ?| ARRAY['a'], a <=> b, a <-> b, a <#> b FROM t",
            "SELECT a ~ 'x' AND NOT a ~* 'x' OR a !~ 'y' AND b NOTNULL, a::int[], ARRAY[1, 2][1], a NOT LIKE 'b' = c, -a ^ 2 % 3 COLLATE \"C\"",
            "SELECT count(*) FILTER (WHERE a > 1), f(x := 1, y => 2), extract('year' FROM d), INTERVAL '1' DAY, trim(BOTH 'x' FROM a) FROM t GROUP BY CUBE (a, b)",
            "INSERT INTO t AS u (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = excluded.a RETURNING *",
            "ALTER TABLE t ALTER COLUMN a TYPE int USING a::int",
            "SELECT FROM t WHERE $1 = :name AND \"Quoted\" IS DISTINCT FROM _a$b",
            "SELECT DISTINCT ON (a) * FROM t TABLESAMPLE BERNOULLI (10) REPEATABLE (7)",
        ] {
            assert_eq!(Parser::parse_sql(&DIALECT, sql), Parser::parse_sql(&PostgreSqlDialect {}, sql), "{sql}");
            assert!(Parser::parse_sql(&DIALECT, sql).is_ok(), "{sql}: {:?}", Parser::parse_sql(&DIALECT, sql));
        }
        for own in ["SELECT * EXCLUDE (a, b) FROM t", "SELECT MAP {'a': 1}['a'] FROM t"] {
            assert!(Parser::parse_sql(&DIALECT, own).is_ok(), "{own}");
            assert!(Parser::parse_sql(&PostgreSqlDialect {}, own).is_err(), "{own}");
        }
    }
}
