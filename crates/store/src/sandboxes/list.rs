//! Lists of sandboxes: the filters and orders as SQL. Whoever lists has the sandboxes themselves in memory: their ids do.

use pitlane_model::{DesiredState, OrganizationId, Sandbox, SandboxId, SandboxState, Timestamp};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Row, Transaction, params_from_iter};

use crate::list::CursorValue;
use crate::row::json;
use crate::{
    Bounds, Cursor, ListedSandbox, ReadError, SandboxFilter, SandboxOrder, SandboxPage,
    SandboxSlice, SortDirection, SortField, Store,
};

impl Store {
    /// The sandboxes of `organization` that pass `filter`, from `cursor` on, `limit` at most.
    ///
    /// A cursor that was taken in another order is ignored.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what there is cannot be told.
    pub async fn sandboxes(
        &self,
        organization: OrganizationId,
        filter: SandboxFilter,
        order: SandboxOrder,
        cursor: Option<Cursor>,
        limit: u32,
    ) -> Result<SandboxPage, ReadError> {
        self.read(move |transaction| {
            let mut query = Query::of(organization, &filter);
            if let Some(cursor) = cursor.filter(|cursor| cursor.order == order) {
                query.go_on(order, cursor);
            }
            // One more than shown tells whether the list goes on.
            let mut items = query.select(transaction, order, u64::from(limit) + 1, 0)?;
            let goes_on = items.len() > usize::try_from(limit).unwrap_or(usize::MAX);
            if goes_on {
                items.pop();
            }
            let next = items.last().filter(|_| goes_on).map(|last| last.cursor(order));
            Ok(SandboxPage { items: items.iter().map(|found| found.listed).collect(), next })
        })
        .await
    }

    /// The sandboxes of `organization` that pass `filter`, without the first `skip`, `limit` at most.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: what there is cannot be told.
    pub async fn sandbox_slice(
        &self,
        organization: OrganizationId,
        filter: SandboxFilter,
        order: SandboxOrder,
        skip: u64,
        limit: u32,
    ) -> Result<SandboxSlice, ReadError> {
        self.read(move |transaction| {
            let query = Query::of(organization, &filter);
            let total = query.count(transaction)?;
            let items = query.select(transaction, order, u64::from(limit), skip)?;
            Ok(SandboxSlice { items: items.iter().map(|found| found.listed).collect(), total })
        })
        .await
    }
}

const fn column(field: SortField) -> &'static str {
    match field {
        SortField::Name => "name",
        SortField::CpuCount => "cpu_count",
        SortField::MemoryGib => "memory_gib",
        SortField::DiskGib => "disk_gib",
        SortField::LastActivityAt => "last_activity_at",
        SortField::CreatedAt => "created_at",
    }
}

/// A row of a list, and what the list is sorted by.
struct Found {
    listed: ListedSandbox,
    value: CursorValue,
}

impl Found {
    fn of(row: &Row<'_>) -> Result<Self, ReadError> {
        let (id, last_activity_at) = (row.get(0)?, row.get(1)?);
        let listed = ListedSandbox {
            id: SandboxId::from_bytes(id),
            last_activity_at: Timestamp::from_micros(last_activity_at),
        };
        let value = match row.get_ref(2)? {
            ValueRef::Integer(number) => CursorValue::Number(number),
            value => {
                CursorValue::Text(value.as_str().map_err(ReadError::value("name"))?.to_owned())
            }
        };
        Ok(Self { listed, value })
    }

    fn cursor(&self, order: SandboxOrder) -> Cursor {
        Cursor { order, value: self.value.clone(), id: self.listed.id }
    }
}

/// When a sandbox goes by itself; nothing for one that does not.
const AUTO_DESTROY_AT: &str = "CASE WHEN ttl > 0 THEN created_at + ttl * 60000000 END";

/// The first and the last id whose text begins so; `None` where no id's does.
fn ids_from(prefix: &str) -> Option<([u8; 16], [u8; 16])> {
    const DASHES: [usize; 4] = [8, 13, 18, 23];
    let mut digits = Vec::new();
    for (place, character) in prefix.chars().enumerate() {
        match character.to_digit(16) {
            _ if place >= 36 => return None,
            None if character == '-' && DASHES.contains(&place) => {}
            Some(digit) if !DASHES.contains(&place) => digits.push(u8::try_from(digit).ok()?),
            _ => return None,
        }
    }
    let filled = |filling: u8| {
        let mut id = [0; 16];
        for (place, byte) in id.iter_mut().enumerate() {
            let digit = |place: usize| digits.get(place).copied().unwrap_or(filling);
            *byte = digit(2 * place) << 4 | digit(2 * place + 1);
        }
        id
    };
    Some((filled(0), filled(0xf)))
}

/// Conditions and the values for their question marks, in step.
struct Query {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Query {
    fn of(organization: OrganizationId, filter: &SandboxFilter) -> Self {
        let mut query = Self { conditions: Vec::new(), values: Vec::new() };
        query.add("organization = ?", [blob(organization.to_bytes())]);
        if let Some(prefix) = &filter.id_prefix {
            match ids_from(prefix) {
                Some((first, last)) => query.add("id BETWEEN ? AND ?", [blob(first), blob(last)]),
                None => query.add("FALSE", []),
            }
        }
        if let Some(prefix) = &filter.name_prefix {
            let length = Value::Integer(i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX));
            query
                .add("lower(substr(name, 1, ?)) = lower(?)", [length, Value::Text(prefix.clone())]);
        }
        if !filter.labels.is_empty() {
            query.add(
                "NOT EXISTS (SELECT 1 FROM json_each(?) AS wanted WHERE NOT EXISTS (
                    SELECT 1 FROM json_each(sandboxes.labels) AS present
                    WHERE present.key = wanted.key AND present.value = wanted.value))",
                [Value::Text(json(&filter.labels))],
            );
        }
        query.any_of("state", filter.states.iter().map(|state| SandboxState::as_str(*state)));
        query.any_of("snapshot", filter.snapshots.iter().map(String::as_str));
        query.any_of("target", filter.targets.iter().map(String::as_str));
        query.within("cpu_count", filter.cpu_count, i64::from);
        query.within("memory_gib", filter.memory_gib, i64::from);
        query.within("disk_gib", filter.disk_gib, i64::from);
        query.within("created_at", filter.created_at, Timestamp::as_micros);
        query.within("last_activity_at", filter.last_activity_at, Timestamp::as_micros);
        query.within(AUTO_DESTROY_AT, filter.auto_destroy_at, Timestamp::as_micros);
        if let Some(is_recoverable) = filter.is_recoverable {
            let words = [
                SandboxState::Error.as_str(),
                DesiredState::Destroyed.as_str(),
                Sandbox::DISK_IS_GONE,
            ];
            let [state, desired, reason] = words.map(|word| Value::Text(word.to_owned()));
            query.add(
                "(state = ? AND desired <> ? AND error_reason IS NOT ?) = ?",
                [state, desired, reason, Value::Integer(is_recoverable.into())],
            );
        }
        if !filter.shows_failed_deletions {
            let words = [SandboxState::Error.as_str(), DesiredState::Destroyed.as_str()];
            query.add(
                "NOT (state = ? AND desired = ?)",
                words.map(|word| Value::Text(word.to_owned())),
            );
        }
        if let Some(is_public) = filter.is_public {
            query.add("is_public = ?", [Value::Integer(is_public.into())]);
        }
        query
    }

    /// Leaves out everything up to and including the cursor's row.
    fn go_on(&mut self, order: SandboxOrder, cursor: Cursor) {
        let column = column(order.field);
        let beyond = match order.direction {
            SortDirection::Ascending => ">",
            SortDirection::Descending => "<",
        };
        let value = match cursor.value {
            CursorValue::Number(number) => Value::Integer(number),
            CursorValue::Text(text) => Value::Text(text),
        };
        self.add(&format!("({column}, id) {beyond} (?, ?)"), [value, blob(cursor.id.to_bytes())]);
    }

    fn add<const N: usize>(&mut self, condition: &str, values: [Value; N]) {
        self.conditions.push(condition.to_owned());
        self.values.extend(values);
    }

    fn any_of<'a>(&mut self, column: &str, words: impl ExactSizeIterator<Item = &'a str>) {
        if words.len() > 0 {
            let marks = vec!["?"; words.len()].join(", ");
            self.conditions.push(format!("{column} IN ({marks})"));
            self.values.extend(words.map(|word| Value::Text(word.to_owned())));
        }
    }

    fn within<T>(&mut self, column: &str, bounds: Bounds<T>, number: impl Fn(T) -> i64) {
        if let Some(at_least) = bounds.at_least {
            self.add(&format!("{column} >= ?"), [Value::Integer(number(at_least))]);
        }
        if let Some(at_most) = bounds.at_most {
            self.add(&format!("{column} <= ?"), [Value::Integer(number(at_most))]);
        }
    }

    fn count(&self, transaction: &Transaction<'_>) -> Result<u64, ReadError> {
        let text = format!("SELECT count(*) FROM sandboxes WHERE {}", self.condition());
        let total = transaction
            .prepare_cached(&text)?
            .query_row(params_from_iter(&self.values), |row| row.get::<_, i64>(0))?;
        Ok(total.unsigned_abs())
    }

    fn select(
        &self,
        transaction: &Transaction<'_>,
        order: SandboxOrder,
        limit: u64,
        skip: u64,
    ) -> Result<Vec<Found>, ReadError> {
        let mut select = transaction.prepare_cached(&self.text(order))?;
        let number = |count: u64| Value::Integer(i64::try_from(count).unwrap_or(i64::MAX));
        let values = self.values.iter().cloned().chain([number(limit), number(skip)]);
        let mut rows = select.query(params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(Found::of(row)?);
        }
        Ok(found)
    }

    fn text(&self, order: SandboxOrder) -> String {
        let column = column(order.field);
        let direction = match order.direction {
            SortDirection::Ascending => "ASC",
            SortDirection::Descending => "DESC",
        };
        format!(
            "SELECT id, last_activity_at, {column} FROM sandboxes WHERE {}
             ORDER BY {column} {direction}, id {direction} LIMIT ? OFFSET ?",
            self.condition(),
        )
    }

    fn condition(&self) -> String {
        self.conditions.join(" AND ")
    }
}

fn blob(bytes: [u8; 16]) -> Value {
    Value::Blob(bytes.to_vec())
}

#[cfg(test)]
mod tests;
